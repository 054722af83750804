/** Run the test suite; further arguments go to `bun test`. */
const run = Bun.spawnSync([process.execPath, "test", ...process.argv.slice(2)], {
  stdio: ["inherit", "inherit", "inherit"],
});
process.exit(run.exitCode);
