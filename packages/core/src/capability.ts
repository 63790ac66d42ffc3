declare const provided: unique symbol;

/** A typed name for something one part of the agent offers to others, such as the containerd client. */
export interface Capability<T> {
  readonly name: string;
  readonly [provided]?: T;
}

export const capability = <T>(name: string): Capability<T> => ({ name });
