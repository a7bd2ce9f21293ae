<?php
// A shop with twelve worker processes through one sidecar: a small php-fpm. No
// worker knows of tokens, and however many there are, the vendor sees one login,
// and one refresh for each access token.
//
//     php shop.php http://127.0.0.1:9001 SECONDS
//
// Prints how many calls each worker made; ends with 1 if one of them failed.

declare(strict_types=1);

const WORKERS = 12;

/** What a worker does for a customer. Any HTTP client will do. */
function products(string $sidecar): bool
{
    $context = stream_context_create(['http' => ['timeout' => 30, 'ignore_errors' => true]]);
    $body = @file_get_contents("$sidecar/api/v1/products", false, $context);
    return $body !== false && str_contains($http_response_header[0], ' 200 ');
}

function work(string $sidecar, float $until): never
{
    for ($calls = 0, $failed = 0; microtime(true) < $until; $calls++) {
        products($sidecar) ?: $failed++;
        usleep(random_int(5_000, 50_000));
    }
    printf("worker %d: %d calls, %d failed\n", getmypid(), $calls, $failed);
    exit($failed === 0 ? 0 : 1);
}

[, $sidecar, $seconds] = $argv;
$until = microtime(true) + (float) $seconds;
for ($worker = 0; $worker < WORKERS; $worker++) {
    match (pcntl_fork()) {
        -1 => exit(1),
        0 => work($sidecar, $until),
        default => null,
    };
}
$failed = 0;
while (pcntl_wait($status) > 0) {
    pcntl_wexitstatus($status) === 0 ?: $failed++;
}
exit($failed === 0 ? 0 : 1);
