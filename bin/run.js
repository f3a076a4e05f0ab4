#!/usr/bin/env node
import { main } from '../dist/cli/main.js';
import { keepToOwner } from '../dist/platform/umask.js';

keepToOwner();
await main(process.argv.slice(2));
