/** A handler to add to an engine. */
export interface Handler {
  readonly name: string;
  /** Absolute path of the runtime. */
  readonly path: string;
  /** Makes it the engine's default too. */
  readonly asDefault: boolean;
}

/** What to take away from an engine's configuration. */
export interface Removal {
  readonly name: string;
  /** Put back as the default when the handler is it; the engine's own default when absent. */
  readonly previousDefault?: string | undefined;
}

/** How the configuration of one kind of engine is changed, as text. Both throw `ENGINE_CONFIG_INVALID`. */
export interface Engine {
  readonly title: string;
  readonly file: string;
  /**
   * The text with the handler; everything else in it stays. A text that is a file beside the main configuration
   * takes from `main` what the handler is a copy of.
   */
  configure(text: string, handler: Handler, file: string, main?: string): string;
  /** The file beside the main configuration for this handler, if the engine reads one there. */
  dropIn?(main: string, file: string, name: string): string | undefined;
  /** The text without the handler; an empty one when nothing else was in it. */
  unconfigure(text: string, removal: Removal, file: string): string;
  /** Name of the default handler, when one is set. */
  defaultOf(text: string, file: string): string | undefined;
}
