/** What the launcher becomes: `command` followed by its own arguments. */
export interface Launcher {
  /** Absolute path of the program, and its first arguments. */
  readonly command: readonly [string, ...string[]];
  /** Variables that begin with one of these eight characters are not passed on. */
  readonly dropped: readonly string[];
}

const baseAddress = 0x40_0000;
const headerBytes = 0x40 + 0x38;

/**
 * A static program for x86-64 of some hundred bytes that becomes another one. A script would need a shell, and a
 * container may hold none; a program of a compiler would need one on the machine that makes it.
 */
export function launcherElf({ command, dropped }: Launcher): Buffer {
  const failure = Buffer.from("aeon: the programs for containers are not at /run/aeon/bin\n");
  const texts = [...command.map((text) => Buffer.from(`${text}\0`)), failure];
  const assemble = (textsAt: number): Buffer[] => {
    const addresses: number[] = [];
    let at = textsAt;
    for (const text of texts) {
      addresses.push(at);
      at += text.length;
    }
    const pointers = addresses.slice(0, -1);
    return code(pointers, dropped, { address: addresses.at(-1) ?? 0, length: failure.length });
  };
  // The length of the code does not depend on the addresses.
  const start = baseAddress + headerBytes;
  const parts = assemble(start + size(assemble(start)));
  const image = Buffer.concat([...parts, ...texts]);
  return Buffer.concat([header(headerBytes + image.length), image]);
}

const size = (parts: readonly Buffer[]): number => parts.reduce((sum, { length }) => sum + length, 0);

const bytes = (...values: readonly number[]): Buffer => Buffer.from(values);
const imm32 = (value: number): Buffer => {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value);
  return buffer;
};

function code(
  pointers: readonly number[],
  dropped: readonly string[],
  failure: { readonly address: number; readonly length: number },
): Buffer[] {
  return [
    bytes(0x48, 0x8b, 0x0c, 0x24), // mov rcx, [rsp]           argc
    bytes(0x48, 0x8d, 0x74, 0x24, 0x08), // lea rsi, [rsp+8]   argv
    bytes(0x48, 0x8d, 0x54, 0xcc, 0x10), // lea rdx, [rsp+rcx*8+16]  envp
    ...dropVariables(dropped),
    bytes(0x6a, 0x00), // push 0
    bytes(0x48, 0x83, 0xf9, 0x01), // 1: cmp rcx, 1
    bytes(0x7e, 0x09), // jle 2f
    bytes(0xff, 0x74, 0xce, 0xf8), // push [rsi+rcx*8-8]
    bytes(0x48, 0xff, 0xc9), // dec rcx
    bytes(0xeb, 0xf1), // jmp 1b
    ...pointers.toReversed().map((pointer) => Buffer.concat([bytes(0x68), imm32(pointer)])), // 2: push
    bytes(0x48, 0x89, 0xe6), // mov rsi, rsp
    Buffer.concat([bytes(0xbf), imm32(pointers[0] ?? 0)]), // mov edi, program
    bytes(0xb8, 0x3b, 0, 0, 0, 0x0f, 0x05), // execve
    bytes(0xbf, 2, 0, 0, 0), // mov edi, 2
    Buffer.concat([bytes(0xbe), imm32(failure.address), bytes(0xba), imm32(failure.length)]),
    bytes(0xb8, 1, 0, 0, 0, 0x0f, 0x05), // write
    bytes(0xbf, 127, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05), // exit(127)
  ];
}

/** Closes the gaps in envp: r8 reads, r9 writes. */
function dropVariables(dropped: readonly string[]): Buffer[] {
  const head = [
    bytes(0x49, 0x89, 0xd0), // mov r8, rdx
    bytes(0x49, 0x89, 0xd1), // mov r9, rdx
  ];
  const loop: Buffer[] = [
    bytes(0x49, 0x8b, 0x00), // mov rax, [r8]
    bytes(0x49, 0x83, 0xc0, 0x08), // add r8, 8
    bytes(0x48, 0x85, 0xc0), // test rax, rax
    bytes(0x74, 0), // jz end
    bytes(0x4c, 0x8b, 0x10), // mov r10, [rax]
  ];
  const lengthOf = (): number => loop.reduce((sum, { length }) => sum + length, 0);
  const jumpAt = 3;
  const jumpEnd = 12;
  const back = (opcode: number): Buffer => bytes(opcode, (256 - (lengthOf() + 2)) & 0xff);
  for (const name of dropped) {
    loop.push(Buffer.concat([bytes(0x49, 0xbb), Buffer.from(name.padEnd(8).slice(0, 8))])); // mov r11, name
    loop.push(bytes(0x4d, 0x39, 0xda)); // cmp r10, r11
    loop.push(back(0x74)); // je loop
  }
  loop.push(bytes(0x49, 0x89, 0x01)); // mov [r9], rax
  loop.push(bytes(0x49, 0x83, 0xc1, 0x08)); // add r9, 8
  loop.push(back(0xeb)); // jmp loop
  loop[jumpAt] = bytes(0x74, lengthOf() - jumpEnd);
  return [...head, ...loop, bytes(0x49, 0x89, 0x01)]; // end: mov [r9], rax
}

/** ELF header and one segment that holds all of the file, readable and executable. */
function header(fileBytes: number): Buffer {
  const elf = Buffer.alloc(headerBytes);
  elf.write("\x7fELF\x02\x01\x01", "latin1");
  elf.writeUInt16LE(2, 16); // ET_EXEC
  elf.writeUInt16LE(62, 18); // x86-64
  elf.writeUInt32LE(1, 20);
  elf.writeBigUInt64LE(BigInt(baseAddress + headerBytes), 24); // entry
  elf.writeBigUInt64LE(0x40n, 32); // program headers
  elf.writeUInt16LE(0x40, 52);
  elf.writeUInt16LE(0x38, 54);
  elf.writeUInt16LE(1, 56);
  elf.writeUInt32LE(1, 0x40); // PT_LOAD
  elf.writeUInt32LE(5, 0x44); // read, execute
  elf.writeBigUInt64LE(0n, 0x48);
  elf.writeBigUInt64LE(BigInt(baseAddress), 0x50);
  elf.writeBigUInt64LE(BigInt(baseAddress), 0x58);
  elf.writeBigUInt64LE(BigInt(fileBytes), 0x60);
  elf.writeBigUInt64LE(BigInt(fileBytes), 0x68);
  elf.writeBigUInt64LE(0x1000n, 0x70);
  return elf;
}
