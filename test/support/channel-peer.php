<?php
// Speaks the protocol of Workerman's Channel\Client with PHP's own serialize() and unserialize(): what the tests need of
// it, since packages cannot be fetched here. Reads commands on standard input, one JSON array a line, and writes each
// frame that comes as a line of JSON with its data serialized again. Usage: php channel-peer.php tcp://127.0.0.1:2206

class Point
{
    public $x = 1;
    protected $hidden = "\0\xff";
    private $own = [1.5, null, true];
    public $same;
}

function send($stream, array $message): void
{
    $payload = serialize($message);
    $frame = pack('N', strlen($payload) + 4) . $payload;
    for ($sent = 0; $sent < strlen($frame); $sent += $written) {
        $written = fwrite($stream, substr($frame, $sent));
        if ($written === false || $written === 0) {
            exit(3);
        }
    }
}

/** Values that JSON cannot express, by name. */
function value(string $name)
{
    $point = new Point();
    $point->same = $point;
    $shared = 'shared';
    switch ($name) {
        case 'object':
            return ['first' => $point, 'again' => $point];
        case 'reference':
            return [&$shared, &$shared, 'после'];
        case 'binary':
            return implode('', array_map('chr', range(0, 255)));
        case 'floats':
            return [0.1, 1e100, -0.0, INF, -INF, NAN, PHP_INT_MAX, PHP_INT_MIN];
        default:
            return json_decode($name, true);
    }
}

$stream = stream_socket_client($argv[1], $code, $error, 5);
if ($stream === false) {
    fwrite(STDERR, "$error\n");
    exit(2);
}
stream_set_blocking(STDIN, false);
stream_set_blocking($stream, false);
$buffer = '';
$input = '';
while (true) {
    $read = [$stream, STDIN];
    $write = $except = null;
    stream_select($read, $write, $except, 5);
    $input .= (string) fgets(STDIN);
    while (($end = strpos($input, "\n")) !== false) {
        [$type, $names, $data] = json_decode(substr($input, 0, $end), true) + [null, [], null];
        $input = substr($input, $end + 1);
        if ($type === 'close') {
            exit(0);
        }
        $message = ['type' => $type];
        if ($type !== 'reserve') {
            $message['channels'] = $names;
        }
        if (in_array($type, ['publish', 'publishLoop', 'enqueue'], true)) {
            $message['data'] = value($data);
        }
        stream_set_blocking($stream, true);
        send($stream, $message);
        stream_set_blocking($stream, false);
    }
    $chunk = fread($stream, 65536);
    if (($chunk === '' || $chunk === false) && feof($stream)) {
        exit(1);
    }
    $buffer .= $chunk;
    while (strlen($buffer) >= 4 && strlen($buffer) >= ($length = unpack('N', $buffer)[1])) {
        $message = unserialize(substr($buffer, 4, $length - 4));
        $buffer = substr($buffer, $length);
        if (!is_array($message)) {
            exit(4);
        }
        $message['data'] = bin2hex(serialize($message['data']));
        echo json_encode($message), "\n";
    }
}
