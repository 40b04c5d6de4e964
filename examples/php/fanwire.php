<?php

/**
 * Publishes to a topic, and returns the status and the decoded answer of the publisher. A durable publication is stored
 * when this returns 200. The id keeps a retry from being stored twice.
 */
function publish(string $topic, string $event, array $data, string $id): array
{
    $url = getenv('FANWIRE_PUBLISHER_URL') ?: 'http://localhost:4237';
    $key = getenv('FANWIRE_API_KEY');
    $curl = curl_init("$url/v1/publications");
    curl_setopt_array($curl, [
        CURLOPT_POSTFIELDS => json_encode([
            'target' => ['topic' => $topic],
            'event' => $event,
            'data' => json_encode($data, JSON_THROW_ON_ERROR),
            'durable' => true,
            'id' => $id,
        ], JSON_THROW_ON_ERROR),
        CURLOPT_HTTPHEADER => ['Content-Type: application/json', ...($key ? ["Authorization: Bearer $key"] : [])],
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_TIMEOUT => 15,
    ]);
    $answer = curl_exec($curl);
    if ($answer === false) {
        return [502, ['error' => curl_error($curl)]];
    }
    return [curl_getinfo($curl, CURLINFO_RESPONSE_CODE), json_decode($answer, true)];
}

/** Returns a token (a JWT with HS256) that allows a user to subscribe to topics for an hour. Without a secret pushers need none. */
function tokenFor(string $user, array $topics): ?string
{
    $secret = getenv('PUSHER_TOKEN_SECRET');
    if (!$secret) {
        return null;
    }
    $encode = fn (string $bytes) => rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
    $claims = ['sub' => $user, 'topics' => $topics, 'exp' => time() + 3600];
    $signed = $encode('{"alg":"HS256"}') . '.' . $encode(json_encode($claims, JSON_THROW_ON_ERROR));
    return $signed . '.' . $encode(hash_hmac('sha256', $signed, $secret, true));
}
