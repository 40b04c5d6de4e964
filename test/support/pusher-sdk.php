<?php
// Sends one request as the Pusher SDK for PHP does, and prints the status and the body as JSON.
// Arguments: URL of the publisher, app as JSON, method, path below the app, body or "", query parameters as JSON.
[, $url, $app, $method, $path, $body, $query] = $argv;
$app = json_decode($app, true);
$path = "/apps/{$app['id']}$path";
$params = json_decode($query, true);
$params['auth_key'] = $app['key'];
$params['auth_timestamp'] = (string) time();
$params['auth_version'] = '1.0';
if ($method === 'POST') {
    $params['body_md5'] = md5($body);
}
ksort($params);
$pairs = [];
foreach ($params as $name => $value) {
    $pairs[] = $name . '=' . (is_array($value) ? implode(',', $value) : $value);
}
$params['auth_signature'] = hash_hmac('sha256', "$method\n$path\n" . implode('&', $pairs), $app['secret']);
$context = stream_context_create(['http' => [
    'method' => $method,
    'header' => "Content-Type: application/json\r\nX-Pusher-Library: pusher-http-php 7.2.0",
    'content' => $body,
    'ignore_errors' => true,
]]);
$target = implode('/', array_map('rawurlencode', explode('/', $path)));
$query = http_build_query($params, '', '&', PHP_QUERY_RFC3986);
$answer = file_get_contents("$url$target?$query", false, $context);
[, $status] = explode(' ', $http_response_header[0]);
echo json_encode(['status' => (int) $status, 'body' => $answer]);
