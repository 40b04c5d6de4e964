<?php

require __DIR__ . '/../fanwire.php';

function sendJson(int $status, array $body): void
{
    http_response_code($status);
    header('Content-Type: application/json');
    echo json_encode($body);
}

$route = $_SERVER['REQUEST_METHOD'] . ' ' . parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if ($route === 'GET /') {
    readfile(__DIR__ . '/app.html');
} elseif ($route === 'GET /push') {
    // A real application checks its session here.
    $token = tokenFor('ann', ['orders.*']);
    $url = getenv('FANWIRE_PUSHER_URL') ?: 'ws://localhost:4236';
    sendJson(200, ['url' => $url] + ($token === null ? [] : ['token' => $token]));
} elseif ($route === 'POST /orders') {
    $order = ['id' => bin2hex(random_bytes(16)), 'total' => 9];
    [$status, $answer] = publish("orders.{$order['id']}", 'created', $order, $order['id']);
    sendJson($status === 200 ? 201 : 502, $answer);
} else {
    sendJson(404, ['error' => 'not found']);
}
