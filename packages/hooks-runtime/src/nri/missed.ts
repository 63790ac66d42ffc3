/** A container that should have got rules but was started while nobody injected them. */
export interface MissedContainer {
  readonly id: string;
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly rules: readonly string[];
}
