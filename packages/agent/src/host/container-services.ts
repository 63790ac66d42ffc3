import type { ContainerService, ContainerServiceRegistry } from "@aeon/core";
import { errors } from "../errors.ts";

const namePattern = /^[a-z][a-z0-9-]{0,62}$/;

/** The container services of all plugins, whether or not anybody serves them yet. */
export class ContainerServices implements ContainerServiceRegistry {
  readonly #services = new Map<string, ContainerService>();

  register(service: ContainerService): Disposable {
    const { name, actions } = service;
    for (const each of [name, ...Object.keys(actions)])
      if (!namePattern.test(each))
        throw errors.SERVICE_NAME_INVALID(
          `"${each}" is no name of a container service or an action: lower-case letters, digits and dashes only`,
          { details: { service: name } },
        );
    if (this.#services.has(name))
      throw errors.SERVICE_NAME_TAKEN(`a container service named ${name} is registered`, {
        details: { service: name },
      });
    this.#services.set(name, service);
    return {
      [Symbol.dispose]: () => {
        if (this.#services.get(name) === service) this.#services.delete(name);
      },
    };
  }

  get(name: string): ContainerService | undefined {
    return this.#services.get(name);
  }

  /** In the order of their names. */
  list(): readonly ContainerService[] {
    return [...this.#services.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }
}
