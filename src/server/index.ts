export {readUsers, type Users, UserTable} from './auth/users.js'
export {MemoryRoot} from './roots/memory-root.js'
export {type Root} from './roots/root.js'
export * from './server.js'
