import type { FilteredDocker } from "../../../packages/dind/test/support/filtered-docker.ts";

/** Measures the filtered and dockerd's own socket as neighbours in time, so that what else the machine does is in both. */
export async function alternate(
  rounds: number,
  pod: FilteredDocker,
  measure: (socket: string, raw: boolean) => Promise<number>,
): Promise<{ own: number[]; peer: number[] }> {
  const own: number[] = [];
  const peer: number[] = [];
  await measure(pod.socket, false);
  await measure(pod.dockerd.socket, true);
  const onPeer = async (): Promise<unknown> => peer.push(await measure(pod.dockerd.socket, true));
  const onOwn = async (): Promise<unknown> => own.push(await measure(pod.socket, false));
  // What one leaves to the disk or the processors is the next one's burden, so each is first as often.
  for (let round = 0; round < rounds; round += 1)
    for (const step of round % 2 === 0 ? [onPeer, onOwn] : [onOwn, onPeer]) await step();
  return { own, peer };
}
