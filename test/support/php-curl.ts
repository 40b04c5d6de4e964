import { spawnSync } from "node:child_process";

/** Reason why tests with PHP's curl extension are skipped, or `undefined`. */
export const missingPhpCurl =
  spawnSync("php", ["-r", "exit(function_exists('curl_init') ? 0 : 1);"]).status === 0
    ? undefined
    : "php has no curl extension: apt-get install --no-install-recommends php-curl";
