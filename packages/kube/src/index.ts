// oxlint-disable-next-line unicorn/require-module-specifiers -- nothing is here yet
export {};
