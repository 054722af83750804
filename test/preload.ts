/** Test set-up: terminal colours and the user's own caches must not change what is tested. */
process.env.NO_COLOR = "1";
delete process.env.FORCE_COLOR;
