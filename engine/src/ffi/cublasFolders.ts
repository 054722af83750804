/** A folder where cuBLAS may lie. */
export interface CublasFolder {
  readonly folder: string;
  /** What names the folder. */
  readonly source: string;
  /** Whether a libcublas.so lies there. */
  readonly present: boolean;
}

/** Below a site-packages folder: the wheels of CUDA 13, and of CUDA 12 and 11. */
const wheelFolders = ["nvidia/cu13/lib", "nvidia/cublas/lib"];

/**
 * Every place that is searched for cuBLAS, in order: SAFEDELTA_CUDA_LIB_DIR (alone, when it is set), the project's .cuda folder, the
 * active virtual environment, conda, the CUDA toolkit. After these the loader's own path counts.
 */
export async function cublasFolders(): Promise<CublasFolder[]> {
  const { existsSync, readdirSync } = await import("node:fs");
  const present = (folder: string) =>
    existsSync(folder) && readdirSync(folder).some((name) => /^libcublas\.so\.1[123]$/.test(name));
  return (await places()).map(({ folder, source }) => ({ folder, source, present: present(folder) }));
}

/**
 * The folders as `sd_open` takes them, one a line: that of SAFEDELTA_CUDA_LIB_DIR, in which the driver may lie, too, else those that
 * have a cuBLAS, since the first one's may not be for the driver that is here. Null for none.
 */
export async function foldersToOpen(): Promise<string | null> {
  const all = await cublasFolders();
  const asked = Boolean(process.env.SAFEDELTA_CUDA_LIB_DIR);
  return all.flatMap(({ folder, present }) => (asked || present ? [folder] : [])).join("\n") || null;
}

async function places(): Promise<{ folder: string; source: string }[]> {
  const { join } = await import("node:path");
  const { fileURLToPath } = await import("node:url");
  const { SAFEDELTA_CUDA_LIB_DIR: asked, VIRTUAL_ENV, CONDA_PREFIX, CUDA_HOME, CUDA_PATH } = process.env;
  if (asked) return [{ folder: asked, source: "SAFEDELTA_CUDA_LIB_DIR" }];
  const project = fileURLToPath(new URL("../../../.cuda", import.meta.url));
  const below = (root: string, source: string) => wheelFolders.map((part) => ({ folder: join(root, part), source }));
  const toolkits = [CUDA_HOME, CUDA_PATH, "/usr/local/cuda"].filter((root) => root !== undefined);
  return [
    ...below(project, "the project's .cuda"),
    ...(await sitePackages(VIRTUAL_ENV)).flatMap((root) => below(root, "VIRTUAL_ENV")),
    ...(CONDA_PREFIX ? [{ folder: join(CONDA_PREFIX, "lib"), source: "CONDA_PREFIX" }] : []),
    ...[...new Set(toolkits)].map((root) => ({ folder: join(root, "lib64"), source: "the CUDA toolkit" })),
  ];
}

/** The site-packages folders of a virtual environment, one for each Python in it. */
async function sitePackages(environment: string | undefined): Promise<string[]> {
  if (!environment) return [];
  const { Glob } = await import("bun");
  const found = new Glob("lib/python3*/site-packages").scan({ cwd: environment, onlyFiles: false, absolute: true });
  return (await Array.fromAsync(found)).sort();
}
