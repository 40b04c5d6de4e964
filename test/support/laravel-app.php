<?php

// Answers for a Laravel application, with PHP's own JSON, hashes and encryption. Environment: APP_ID, APP_KEY,
// APP_SECRET, APP_MASTER_KEY, and API, the address of the publisher. The header X-User is the id of the user.

[$id, $key, $secret] = array_map('getenv', ['APP_ID', 'APP_KEY', 'APP_SECRET']);
$isEncrypted = fn (string $channel) => str_starts_with($channel, 'private-encrypted-');
$sharedSecret = fn (string $channel) => hash('sha256', $channel . getenv('APP_MASTER_KEY'), true);

// Broadcasting\Auth: PHP turns the id of a user into a JSON number.
function authorize(string $channel, string $socket): array
{
    global $key, $secret, $isEncrypted, $sharedSecret;
    $user = (int) ($_SERVER['HTTP_X_USER'] ?? 0);
    $member = ['user_id' => $user, 'user_info' => ['name' => "User/$user", 'city' => 'Zürich']];
    $data = str_starts_with($channel, 'presence-') ? json_encode($member) : null;
    $signed = $data === null ? "$socket:$channel" : "$socket:$channel:$data";
    $answer = ['auth' => $key . ':' . hash_hmac('sha256', $signed, $secret)];
    if ($data !== null) {
        $answer['channel_data'] = $data;
    }
    if ($isEncrypted($channel)) {
        $answer['shared_secret'] = base64_encode($sharedSecret($channel));
    }
    return $answer;
}

function signIn(string $socket): array
{
    global $key, $secret;
    $data = json_encode(['id' => (string) $_SERVER['HTTP_X_USER'], 'user_info' => ['name' => 'Ann']]);
    return ['auth' => $key . ':' . hash_hmac('sha256', "$socket::user::$data", $secret), 'user_data' => $data];
}

function encrypted(string $channel, string $payload): string
{
    global $sharedSecret;
    $nonce = random_bytes(SODIUM_CRYPTO_SECRETBOX_NONCEBYTES);
    $box = sodium_crypto_secretbox($payload, $nonce, $sharedSecret($channel));
    return json_encode(['nonce' => base64_encode($nonce), 'ciphertext' => base64_encode($box)]);
}

// A broadcast event, in the request form of pusher-php-server 7.
function broadcast(array $event): array
{
    global $id, $key, $secret, $isEncrypted;
    $data = json_encode($event['payload']);
    [$channel] = $event['channels'];
    $body = json_encode([
        'name' => $event['name'],
        'data' => $isEncrypted($channel) ? encrypted($channel, $data) : $data,
        'channels' => array_values($event['channels']),
    ] + (isset($event['socket']) ? ['socket_id' => $event['socket']] : []));

    $path = "/apps/$id/events";
    $query = ['auth_key' => $key, 'auth_timestamp' => time(), 'auth_version' => '1.0', 'body_md5' => md5($body)];
    ksort($query);
    $pairs = array_map(fn ($name, $value) => "$name=$value", array_keys($query), $query);
    $query['auth_signature'] = hash_hmac('sha256', "POST\n$path\n" . implode('&', $pairs), $secret);
    $url = getenv('API') . $path . '?' . http_build_query($query);
    $headers = ['Content-Type: application/json', 'X-Pusher-Library: pusher-http-php 7.2.7'];
    $options = ['method' => 'POST', 'header' => $headers, 'content' => $body, 'ignore_errors' => true];
    $answer = file_get_contents($url, false, stream_context_create(['http' => $options]));
    return ['status' => (int) explode(' ', $http_response_header[0])[1], 'body' => json_decode($answer)];
}

$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
$isGuest = !isset($_SERVER['HTTP_X_USER']);
header('Content-Type: application/json');
if ($isGuest && str_starts_with($path, '/broadcasting/')) {
    http_response_code(403);
    echo json_encode(['message' => '']);
} elseif ($path === '/broadcasting/auth') {
    echo json_encode(authorize($_POST['channel_name'], $_POST['socket_id']));
} elseif ($path === '/broadcasting/user-auth') {
    echo json_encode(signIn($_POST['socket_id']));
} elseif ($path === '/broadcast') {
    echo json_encode(broadcast(json_decode(file_get_contents('php://input'), true)));
} elseif ($path === '/page') {
    header('Content-Type: text/html');
    echo '<!doctype html><title>shop</title>';
} else {
    http_response_code(404);
}
