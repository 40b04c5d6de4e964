<?php
// The subscribers of one channel as the original keeps them: a PHP array and its internal pointer.
// Reads one run per line ("+3" subscribes peer 3, "-3" ends it, "." is a publishLoop); writes whose turn it was each time.

while (($line = fgets(STDIN)) !== false) {
    $peers = []; $turns = [];
    foreach (explode(" ", trim($line)) as $step) {
        $peer = substr($step, 1);
        if ($step[0] === "+") $peers[$peer] = "p$peer";
        elseif ($step[0] === "-") { unset($peers[$peer]); if (!$peers) $peers = []; }
        else { $turn = next($peers); if ($turn == false) $turn = reset($peers); $turns[] = $turn ?: "none"; }
    }
    echo implode(" ", $turns), "\n";
}
