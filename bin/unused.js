// In the bundle this stands for libraries that oclif loads at every start and poste never comes to use; to read them takes one fifteenth of a short
// command's time. Whoever does use one learns of it at once.
module.exports = new Proxy(
  {},
  {
    get(_, name) {
      if (name === '__esModule') return undefined;
      throw new Error(`this library is not part of the bundle (${String(name)}): see bin/bundle.mjs`);
    },
  },
);
