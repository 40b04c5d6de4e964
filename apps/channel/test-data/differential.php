<?php
// Two halves of a comparison with PHP itself, over lines of hexadecimal.
// make:  writes one publish request of the real client's form per line.
// check: reads "<request> <event> <event>…" and writes what the original server would have sent, one line for each.

error_reporting(E_ALL & ~E_DEPRECATED);
mt_srand(4236);

class User { public $id = 7; protected $role = "admin"; private $secret = "s\0x"; public $self; public $more; }
class Modern { private $a; function __construct($a) { $this->a = $a; }
    function __serialize(): array { return ["v" => $this->a, "k" => "ser", 5 => 1.5]; }
    function __unserialize(array $d): void { $this->a = $d["v"]; } }
class Sleepy { public $kept = [1, 2]; public $lost = "x"; function __sleep() { return ["kept"]; } }

function fixed(): array {
    $o = new stdClass; $o->x = 1;
    $user = new User; $user->self = $user; $user->more = [$user, $o, $o];
    $shared = "shared"; $list = [1, 2];
    $cyclic = new stdClass; $cyclic->me = $cyclic;
    $ring = ["k" => 1]; $ring["me"] = &$ring;
    $many = array_fill(0, 12, 0); foreach ($many as $i => $_) $many[$i] = $o;
    $time = new DateTime("2020-01-02 03:04:05.678 UTC");
    $stack = new SplStack; $stack->push($o); $stack->push([$o]);
    return [
        null, true, false, 0, -7, PHP_INT_MAX, PHP_INT_MIN, "", "0", "R:5;\";}", "\0\xff\xfe\";}", str_repeat("ю", 300),
        [0.1, 1e100, -0.0, 1e-7, INF, -INF, NAN, 0.1 + 0.2, 1e15, 1e17, 3.0],
        [], [[[[[]]], "a" => ["b" => ["07" => 1, "-0" => 2, "" => 3, -3 => 4, "9223372036854775808" => 5]]]],
        $o, [$o, $o], [$o, [$o, "t" => $o], $o], $user, [$user, $user], $cyclic, [$cyclic, $cyclic], $ring, $many,
        ["a" => &$shared, "b" => &$shared, "n" => 5], ["a" => &$list, "o" => $o, "b" => &$list, "p" => $o, "c" => &$list],
        [new Modern($o), $o, new Modern([$o, &$shared, &$shared])], [new Sleepy, new Sleepy, $o, $o],
        [$time, $time, new DateTimeImmutable("1999-12-31 Europe/Paris"), new DateTimeZone("+05:30")],
        [new ArrayObject([$o, "a" => 2]), $o], [$stack, $stack, $o, new SplQueue, new ArrayIterator([$stack])],
    ];
}

function random(int $depth, array &$objects, array &$slots): mixed {
    $dice = mt_rand(0, $depth > 0 ? 10 : 5);
    if ($dice === 0) return mt_rand(-1000, 1000);
    if ($dice === 1) return mt_rand() / 7;
    if ($dice === 2) return random_bytes_seeded(mt_rand(0, 10));
    if ($dice === 3) return [null, true, false][mt_rand(0, 2)];
    if ($dice <= 5) return $objects ? $objects[mt_rand(0, count($objects) - 1)] : "none";
    if ($dice <= 7) {
        $o = mt_rand(0, 1) ? new stdClass : new User; $objects[] = $o;
        foreach (["a", "b", "id"] as $key) if (mt_rand(0, 1)) $o->$key = random($depth - 1, $objects, $slots);
        return $o;
    }
    $a = [];
    for ($i = mt_rand(0, 5); $i > 0; $i--) {
        $key = mt_rand(0, 1) ? "k$i" : $i * 1000;
        if ($slots && mt_rand(0, 3) === 0) { $a[$key] = &$slots[mt_rand(0, count($slots) - 1)]; continue; }
        $value = random($depth - 1, $objects, $slots);
        $a[$key] = &$value;
        $slots[] = &$value;
        unset($value);
    }
    return $a;
}

function random_bytes_seeded(int $length): string {
    $bytes = ""; while ($length-- > 0) $bytes .= chr(mt_rand(0, 255)); return $bytes;
}

if ($argv[1] === "make") {
    $values = fixed();
    for ($i = 0; $i < 300; $i++) { $objects = []; $slots = []; $values[] = random(5, $objects, $slots); unset($slots); }
    foreach ($values as $value) foreach ([["c"], ["c", 5, "ev-b"]] as $channels) {
        echo bin2hex(serialize(["type" => "publish", "channels" => $channels, "data" => $value])), "\n";
    }
} else {
    while (($line = fgets(STDIN)) !== false) {
        $frames = array_map("hex2bin", explode(" ", trim($line)));
        $request = unserialize(array_shift($frames));
        $wanted = [];
        foreach ($request["channels"] as $channel) {
            $wanted[] = bin2hex(serialize(["type" => "event", "channel" => $channel, "data" => $request["data"]]));
        }
        // Equal bytes may be read differently, but graphs of the same shape print the same.
        foreach ($frames as $frame) if (print_r(unserialize($frame)["data"], true) !== print_r($request["data"], true)) $wanted = ["differs"];
        echo implode(" ", $wanted), "\n";
    }
}
