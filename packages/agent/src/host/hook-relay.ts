import type { SnapshotHook, SnapshotHookRegistry } from "@aeon/core";
import { errors } from "../errors.ts";

interface Entry {
  readonly hook: SnapshotHook;
  readonly refused: (error: unknown) => void;
  handle?: Disposable;
}

/**
 * Keeps the hooks of all plugins and registers them with the snapshotter's pipeline whenever there is one, so
 * that they survive a restart of the snapshotter and may come before it.
 */
export class HookRelay implements SnapshotHookRegistry {
  readonly #hooks = new Map<string, Entry>();
  #target: SnapshotHookRegistry | undefined;

  /** `refused` is told when a later pipeline does not take the hook, for example for its name. */
  register(hook: SnapshotHook, refused: (error: unknown) => void = () => {}): Disposable {
    if (this.#hooks.has(hook.name))
      throw errors.HOOK_NAME_TAKEN(`a snapshot hook named ${hook.name} is registered`, {
        details: { hook: hook.name },
      });
    const handle = this.#target?.register(hook);
    const entry: Entry = { hook, refused, ...(handle !== undefined && { handle }) };
    this.#hooks.set(hook.name, entry);
    return {
      [Symbol.dispose]: () => {
        const current = this.#hooks.get(hook.name);
        if (current?.hook !== hook) return;
        this.#hooks.delete(hook.name);
        current.handle?.[Symbol.dispose]();
      },
    };
  }

  /** Registers every hook with `target` until the result is disposed. */
  attach(target: SnapshotHookRegistry): Disposable {
    this.#target = target;
    for (const entry of this.#hooks.values()) registerWith(target, entry);
    return {
      [Symbol.dispose]: () => {
        if (this.#target !== target) return;
        this.#target = undefined;
        for (const entry of this.#hooks.values()) {
          entry.handle?.[Symbol.dispose]();
          delete entry.handle;
        }
      },
    };
  }
}

/** One plugin's bad hook must not keep the snapshotter from starting. */
function registerWith(target: SnapshotHookRegistry, entry: Entry): void {
  try {
    entry.handle = target.register(entry.hook);
  } catch (error) {
    entry.refused(error);
  }
}
