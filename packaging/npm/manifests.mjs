// Writes `package.json` of both packages into the folders `spile` and `platform`: `node manifests.mjs FOLDER VERSION PLATFORM`.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [folder, version, platform] = process.argv.slice(2);
const read = (path) => JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'));
const write = (name, manifest) => writeFileSync(join(folder, name, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);

// The library is the example's, with its dependencies.
const { license, type, exports, engines, dependencies } = read('../../examples/hosts/node/package.json');
const { name, description, bin, files } = read('package.json');
const [os, cpu] = platform.split('-');
const program = `@spile/${platform}`;

write('spile', {
    ...{ name, version, description, license, type, exports, bin, files, engines, dependencies },
    // A release lists the packages of all its platforms; npm installs the one that fits.
    optionalDependencies: { [program]: version },
});
write('platform', {
    ...{ name: program, version, description: `The program of Spile for ${platform}`, license, files: ['bin', 'share'] },
    ...{ os: [os], cpu: [cpu] },
    ...(os === 'linux' && { libc: ['glibc'] }),
});
