import { writeFileSync } from "node:fs";
import { relative } from "node:path";

/**
 * Vitest reporter that writes what passed, failed and was skipped, with reasons, to the file in AEON_TEST_RESULT: one
 * entry per test file, and one without a file for errors outside of any.
 */
export default class CountReporter {
  onTestRunEnd(modules, unhandledErrors) {
    const entries = modules.map((module) => this.#count(module));
    const failed = unhandledErrors.map(({ message }) => `outside of any test: ${message}`);
    if (failed.length > 0) entries.push({ passed: 0, failed, skipped: [] });
    writeFileSync(process.env.AEON_TEST_RESULT, JSON.stringify(entries));
  }

  #count(module) {
    const file = relative(process.cwd(), module.moduleId);
    const result = { file, passed: 0, failed: [], skipped: [] };
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
    return result;
  }
}
