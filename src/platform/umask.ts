/** The umask that this process was started with; `null` while it still has it. */
let usual: number | null = null;

/**
 * Whatever this process makes from now on is its owner's alone, 0700 and 0600, by whose hand it is made and whatever the umask was. To
 * be called before anything is made.
 */
export function keepToOwner(): void {
  usual ??= process.umask(0o077);
}

/** What the user wants taken off the modes of files of his own. */
export function usersUmask(): number {
  if (usual !== null) return usual;
  // It cannot be looked at without being set; a narrow one does no harm for that moment.
  const found = process.umask(0o077);
  process.umask(found);
  return found;
}

/** Runs `make` with the user's own umask. Nothing else runs meanwhile, so nothing of poste's own is made with it. */
export function asUserWants<T>(make: () => T): T {
  if (usual === null) return make();
  const own = process.umask(usual);
  try {
    return make();
  } finally {
    process.umask(own);
  }
}
