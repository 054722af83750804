import { close, fstat, fsync, ftruncate, open, read, write } from "node:fs";
import { promisify } from "node:util";

/**
 * Calls on plain file descriptors. The `FileHandle` of node:fs/promises is not used: one that is collected while open
 * ends the process, so that a caller who forgets to close after an error would never see that error.
 */
export const openDescriptor = promisify(open);
export const closeDescriptor = promisify(close);
export const statDescriptor = promisify(fstat);
export const syncDescriptor = promisify(fsync);
export const truncateDescriptor = promisify(ftruncate);
export const readDescriptor = promisify(read);
export const writeDescriptor = promisify(write);
