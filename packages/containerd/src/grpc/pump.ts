import { create, type DescMessage, type Message, type MessageInitShape } from "@bufbuild/protobuf";

/** The writable half of a call. */
interface Sink {
  write(message: Message): boolean;
  end(): unknown;
  once(event: "drain" | "close" | "error", listener: () => void): unknown;
  removeListener(event: "drain" | "close" | "error", listener: () => void): unknown;
  readonly destroyed: boolean;
}

function drained(sink: Sink): Promise<void> {
  return new Promise((resolve) => {
    const events = ["drain", "close", "error"] as const;
    const finish = () => {
      for (const event of events) sink.removeListener(event, finish);
      resolve();
    };
    for (const event of events) sink.once(event, finish);
  });
}

/** Sends every request with back-pressure, until the source ends or `ended` says that the call is over. */
export async function pump(
  input: DescMessage,
  requests: AsyncIterable<MessageInitShape<DescMessage>>,
  sink: Sink,
  ended: () => boolean,
): Promise<void> {
  for await (const request of requests) {
    if (ended() || sink.destroyed) return;
    if (!sink.write(create(input, request))) await drained(sink);
  }
  if (!ended() && !sink.destroyed) sink.end();
}
