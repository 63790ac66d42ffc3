export * from "./filter/filter-config.ts";
