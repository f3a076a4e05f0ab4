// Who may import whom; ARCHITECTURE.md says why.
const MAY_IMPORT = {
  domain: [],
  platform: ['domain'],
  store: ['domain', 'platform'],
  transfer: ['store', 'domain', 'platform'],
  conditions: ['domain', 'platform'],
  delivery: ['store', 'domain', 'platform'],
  worker: ['transfer', 'conditions', 'delivery', 'store', 'domain', 'platform'],
  session: ['conditions', 'delivery', 'store', 'domain', 'platform'],
  cli: ['session', 'domain', 'platform'],
  commands: ['cli', 'session', 'domain'],
};

const rooms = Object.entries(MAY_IMPORT).map(([room, others]) => ({
  name: `${room}-imports-only-${others.join('-') || 'itself'}`,
  severity: 'error',
  from: { path: `^src/${room}/` },
  to: { path: '^src/', pathNot: `^src/(${[room, ...others].join('|')})/` },
}));

module.exports = {
  forbidden: [
    ...rooms,
    { name: 'no-circle', severity: 'error', from: {}, to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } } },
    { name: 'domain-is-pure', severity: 'error', from: { path: '^src/domain/' }, to: { dependencyTypes: ['core'] } },
    { name: 'undici-only-in-transfer', severity: 'error', from: { pathNot: '^src/transfer/' }, to: { path: 'node_modules/undici/' } },
    { name: 'oclif-only-on-the-command-side', severity: 'error', from: { pathNot: '^src/(cli|commands)/' }, to: { path: 'node_modules/(@oclif|cli-progress)/' } },
    { name: 'lock-only-in-ownership', severity: 'error', from: { pathNot: '^src/store/' }, to: { path: 'node_modules/proper-lockfile/' } },
    { name: 'no-orphan', severity: 'error', from: { orphan: true, path: '^src/', pathNot: '^src/(commands|worker/main)' }, to: {} },
  ],
  options: { tsConfig: { fileName: 'tsconfig.json' }, tsPreCompilationDeps: true, doNotFollow: { path: 'node_modules' } },
};
