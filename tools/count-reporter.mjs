import { writeFileSync } from "node:fs";
import { relative } from "node:path";

/** Vitest reporter that writes what passed, failed and was skipped, with reasons, to the file in AEON_TEST_RESULT. */
export default class CountReporter {
  onTestRunEnd(modules, unhandledErrors) {
    const result = { passed: 0, failed: [], skipped: [] };
    for (const module of modules) this.#count(module, result);
    for (const error of unhandledErrors) result.failed.push(`outside of any test: ${error.message}`);
    writeFileSync(process.env.AEON_TEST_RESULT, JSON.stringify(result));
  }

  #count(module, result) {
    const file = relative(process.cwd(), module.moduleId);
    const tests = [...module.children.allTests()];
    const broken = [module, ...module.children.allSuites()].flatMap((part) => part.errors());
    for (const error of broken) result.failed.push(`${file}: ${error.message}`);
    if (tests.length === 0 && broken.length === 0) result.failed.push(`${file}: holds no test`);
    for (const test of tests) {
      const { state, note } = test.result();
      const name = `${file} > ${test.fullName}`;
      if (state === "passed") result.passed += 1;
      else if (state === "skipped" && note) result.skipped.push(`${name}: ${note}`);
      else if (state === "skipped") result.failed.push(`${name}: skipped without a reason`);
      else result.failed.push(name);
    }
  }
}
