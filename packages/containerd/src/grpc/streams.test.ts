import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, createFileRegistry, type DescService } from "@bufbuild/protobuf";
import {
  anyPack,
  anyUnpack,
  FieldDescriptorProto_Label,
  FileDescriptorProtoSchema,
  StringValueSchema,
  type Any,
} from "@bufbuild/protobuf/wkt";
import { content, streaming } from "@aeon/proto";
import { defineErrors } from "@aeon/core";
import { afterEach, beforeEach, expect, test } from "vitest";
import { GrpcChannel } from "./channel.ts";
import { createGrpcClient } from "./client.ts";
import { Duplex } from "./duplex.ts";
import { served, type ServedService } from "./handlers.ts";
import { serveGrpc, type GrpcServer } from "./serve.ts";

const testErrors = defineErrors({
  SOURCE_BROKEN: { code: "aborted", when: "in this test", remedy: "none" },
});

let folder: string;
let socket: string;
let resources: AsyncDisposableStack;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "aeon-grpc-"));
  socket = join(folder, "s.sock");
  resources = new AsyncDisposableStack();
});

afterEach(async () => {
  await resources.disposeAsync();
  await rm(folder, { recursive: true, force: true });
});

const channel = (): GrpcChannel => resources.use(new GrpcChannel({ address: socket }));

const serve = async (service: ServedService, drainMs = 1000): Promise<GrpcServer> =>
  resources.use(await serveGrpc({ socket, services: [service], drainMs }));

const word = (value: string): Any => anyPack(StringValueSchema, create(StringValueSchema, { value }));
const wordOf = (any: Any): string => anyUnpack(any, StringValueSchema)?.value ?? "";

async function* shout(requests: AsyncIterable<Any>): AsyncGenerator<Any> {
  for await (const request of requests) yield word(wordOf(request).toUpperCase());
}

async function* words(): AsyncGenerator<Any> {
  for (let number = 0; number < 300; number++) yield word(`w${number}-${"x".repeat(10_000)}`);
}

async function* broken(proceed: Promise<void>): AsyncGenerator<Any> {
  yield word("one");
  await proceed;
  throw testErrors.SOURCE_BROKEN("the source broke");
}

async function* texts(): AsyncGenerator<{ readonly text: string }> {
  for (let number = 0; number < 100; number++) yield { text: "x".repeat(5000) };
}

test("a bidirectional stream carries both ways, one after the other", async () => {
  await serve(served(streaming.Streaming, { stream: shout }));
  const api = createGrpcClient(streaming.Streaming, channel());
  await using duplex = new Duplex<Any, Any>((requests) => api.stream(requests));
  for (const text of ["a", "b", "c"]) {
    const reply = await duplex.ask(word(text));
    expect(reply && wordOf(reply)).toBe(text.toUpperCase());
  }
});

test("many requests go out with back-pressure", async () => {
  await serve(served(streaming.Streaming, { stream: shout }));
  const api = createGrpcClient(streaming.Streaming, channel());
  let count = 0;
  for await (const reply of api.stream(words())) expect(wordOf(reply)).toMatch(new RegExp(`^W${count++}-X`));
  expect(count).toBe(300);
});

test("a request source that fails ends the call with its own error", async () => {
  const arrived = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<boolean>();
  await serve(
    served(streaming.Streaming, {
      async *stream(requests, { signal }) {
        try {
          for await (const request of requests) yield request;
          ended.resolve(false);
        } finally {
          ended.resolve(signal.aborted);
        }
      },
    }),
  );
  const replies = createGrpcClient(streaming.Streaming, channel()).stream(broken(arrived.promise));
  await expect(
    (async () => {
      for await (const reply of replies) {
        expect(wordOf(reply)).toBe("one");
        arrived.resolve();
      }
    })(),
  ).rejects.toMatchObject({ reason: "SOURCE_BROKEN" });
  expect(await ended.promise).toBe(true);
});

test("a server that goes in the middle of a stream is an error, not an end", async () => {
  const server = await serve(
    served(streaming.Streaming, {
      async *stream(_requests, { signal }) {
        yield word("first");
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      },
    }),
    20,
  );
  const api = createGrpcClient(streaming.Streaming, channel());
  const outbox = new AbortController();
  const replies = api.stream(never(outbox.signal));
  expect((await replies.next()).done).toBe(false);
  const next = replies.next();
  next.catch(() => {});
  await server[Symbol.asyncDispose]();
  await expect(next).rejects.toMatchObject({
    name: "AeonError",
    code: expect.stringMatching(/unavailable|canceled/),
  });
  outbox.abort();
});

/** A source that gives nothing until the signal ends it. */
async function* never(signal: AbortSignal): AsyncGenerator<Any, void, undefined> {
  if (signal.aborted) yield word("never");
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
}

test("aborting ends a stream that waits", async () => {
  await serve(
    served(streaming.Streaming, {
      async *stream(_requests, { signal }) {
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
        yield word("late");
      },
    }),
  );
  const abort = new AbortController();
  const replies = createGrpcClient(streaming.Streaming, channel()).stream(never(abort.signal), {
    signal: abort.signal,
  });
  const next = replies.next();
  next.catch(() => {});
  setImmediate(() => abort.abort());
  await expect(next).rejects.toMatchObject({ code: "canceled" });
});

/** No service of containerd streams requests only, so this one is made here. */
function countingService(): DescService {
  const file = create(FileDescriptorProtoSchema, {
    name: "count.proto",
    package: "test",
    syntax: "proto3",
    dependency: [],
    messageType: [
      {
        name: "Word",
        field: [{ name: "text", number: 1, type: 9, label: FieldDescriptorProto_Label.OPTIONAL }],
      },
      {
        name: "Total",
        field: [{ name: "count", number: 1, type: 13, label: FieldDescriptorProto_Label.OPTIONAL }],
      },
    ],
    service: [
      {
        name: "Counter",
        method: [
          { name: "Count", inputType: ".test.Word", outputType: ".test.Total", clientStreaming: true },
        ],
      },
    ],
  });
  const service = createFileRegistry(file, () => undefined).getService("test.Counter");
  if (!service) throw new Error("no service");
  return service;
}

test("a stream of requests gets one reply", async () => {
  const service = countingService();
  const handlers = {
    async count(requests: AsyncIterable<unknown>) {
      let count = 0;
      for await (const request of requests) count += request === undefined ? 0 : 1;
      return { count };
    },
  };
  resources.use(await serveGrpc({ socket, services: [{ service, handlers }] }));
  const api: Record<string, unknown> = createGrpcClient(service, channel());
  const count: unknown = api["count"];
  if (typeof count !== "function") throw new Error("no method");
  expect(await Reflect.apply(count, api, [texts()])).toMatchObject({ count: 100 });
});

test("a call on a disposed channel says so", async () => {
  const closed = new GrpcChannel({ address: socket });
  closed[Symbol.dispose]();
  const api = createGrpcClient(content.Content, closed);
  await expect(api.info({ digest: "x" })).rejects.toMatchObject({ reason: "CONNECTION_CLOSED" });
  await expect(api.list({}).next()).rejects.toMatchObject({ reason: "CONNECTION_CLOSED" });
});
