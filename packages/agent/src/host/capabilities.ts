import type { Capability } from "@aeon/core";
import { errors } from "../errors.ts";

interface Offer {
  readonly provider: string;
  readonly value: unknown;
  readonly users: Set<string>;
}

/** What running plugins offer each other, and who uses what. */
export class Capabilities {
  readonly #offers = new Map<string, Offer>();

  provide<T>(provider: string, capability: Capability<T>, value: T): void {
    const known = this.#offers.get(capability.name);
    if (known !== undefined)
      throw errors.CAPABILITY_TAKEN(`${capability.name} is already provided by ${known.provider}`, {
        details: { capability: capability.name, provider: known.provider },
      });
    this.#offers.set(capability.name, { provider, value, users: new Set() });
  }

  require<T>(user: string, capability: Capability<T>): T {
    const value = this.find(user, capability);
    if (value === undefined)
      throw errors.CAPABILITY_MISSING(`plugin ${user} requires ${capability.name}, which nobody provides`, {
        details: { capability: capability.name, plugin: user },
      });
    return value;
  }

  find<T>(user: string, capability: Capability<T>): T | undefined {
    const offer = this.#offers.get(capability.name);
    if (offer === undefined) return undefined;
    if (user !== offer.provider) offer.users.add(user);
    return valueOf(capability, offer);
  }

  /** Looks without becoming a user. */
  peek<T>(capability: Capability<T>): T | undefined {
    const offer = this.#offers.get(capability.name);
    return offer === undefined ? undefined : valueOf(capability, offer);
  }

  /** Takes back everything a plugin offered; returns who used it. */
  withdraw(provider: string): ReadonlySet<string> {
    const users = new Set<string>();
    for (const [name, offer] of this.#offers) {
      offer.users.delete(provider);
      if (offer.provider !== provider) continue;
      this.#offers.delete(name);
      for (const user of offer.users) users.add(user);
    }
    return users;
  }
}

/** `provide` took the value under a capability of this name, which is the type's only trace at run time. */
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- see above
const valueOf = <T>(_capability: Capability<T>, offer: Offer): T => offer.value as T;
