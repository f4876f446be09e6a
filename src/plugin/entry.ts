import {runPlugin} from './main.js'

runPlugin()
