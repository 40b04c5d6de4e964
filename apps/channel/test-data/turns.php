<?php
// The subscribers of one channel as the original keeps them: a PHP array and its internal pointer.
// Reads one run per line ("+3" subscribes peer 3, "-3" ends it, "." is a publishLoop); writes the peer of each turn.

while (($line = fgets(STDIN)) !== false) {
    $peers = []; $turns = [];
    foreach (explode(" ", trim($line)) as $step) {
        $peer = substr($step, 1);
        // Ids grow. Of an array whose first key is below 8 PHP makes a list, and loses the pointer where an id comes again behind a larger one.
        $id = 1000 + (int) $peer;
        if ($step[0] === "+") $peers[$id] = "p$peer";
        elseif ($step[0] === "-") { unset($peers[$id]); if (!$peers) $peers = []; }
        else { $turn = next($peers); if ($turn == false) $turn = reset($peers); $turns[] = $turn ?: "none"; }
    }
    echo implode(" ", $turns), "\n";
}
