import type { Step } from "../../src/capture/steps.ts";

/** What is known of a container: each is written down after it happened, so a killed node may be one ahead. */
export interface Known {
  readonly id: string;
  /** Number in its snapshot's key. */
  readonly number: number;
  /** The pod whose container it is. */
  readonly pod?: string;
  /** The container whose files it has to start with: restored from its backup, or as its successor in the pod. */
  readonly from?: string;
  /** `making` may exist, `made` does; `based` was mounted and compared; `final` is not written any more. */
  state: "making" | "made" | "based" | "final" | "removed";
  /** Its backup was asked to be deleted, or was. */
  backup?: "deleting" | "deleted";
}

/** What one life of a node is to do; given on its standard input. */
export interface Task {
  readonly root: string;
  readonly seed: number;
  /** Tells the containers of this life from others. */
  readonly life: number;
  readonly containers: readonly Known[];
  readonly worker: string;
  /** Die right after a step is reached for the given time, counted from 1. */
  readonly kill?: { readonly step: Step; readonly time: number };
  /** Operations to do, or check everything and end in order. */
  readonly operations: number | "check";
}

/** What a life tells, one JSON line each. */
export type Told =
  | { readonly container: Known }
  | { readonly reached: Step }
  | { readonly problem: string }
  | { readonly ready: true }
  | { readonly checked: number };
