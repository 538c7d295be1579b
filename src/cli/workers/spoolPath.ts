/**
 * A spool has one owner: each worker has a file of its own. The first one's is that of a service without workers, so that
 * what it left is brought on.
 */
export const spoolPathOf = (path: string, worker: number): string => (worker === 0 ? path : `${path}-worker-${worker}`)
