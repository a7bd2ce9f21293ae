<?php
// Six hours with MyPopUp in some seconds, from PHP: the sandbox plays the vendor,
// and the sidecar keeps the tokens. The program under test talks plain HTTP to
// the sidecar and knows nothing of tokens.
//
//     php docs/integrators/php/six-hours.php

declare(strict_types=1);

/** The program under test. */
final class Shop
{
    public function __construct(private string $url) {}

    public function products(): array
    {
        $body = file_get_contents($this->url . '/api/v1/products');
        if ($body === false) {
            throw new RuntimeException('the vendor refused');
        }
        return json_decode($body, true, flags: JSON_THROW_ON_ERROR);
    }
}

/** The vendor, and the sidecar in front of it. */
final class Stage
{
    public readonly string $url;
    private string $work;
    private array $running = [];

    public function __construct(string $dialect)
    {
        $this->work = sys_get_temp_dir() . '/shop-' . bin2hex(random_bytes(8));
        mkdir($this->work, 0700);
        $this->start('sandbox', $dialect, '--manifest', $this->manifest());
        wait_until(fn() => file_exists($this->manifest()));
        $vendor = json_decode(file_get_contents($this->manifest()), true);
        file_put_contents("$this->work/secret", $vendor['secret']);
        chmod("$this->work/secret", 0600);
        file_put_contents("$this->work/profiles.toml", <<<TOML
            [cards]
            dialect = "$dialect"
            url = "{$vendor['url']}"
            login = "{$vendor['login']}"
            secret_file = "$this->work/secret"
            store = "memory"
            TOML);
        $port = free_port();
        $this->start('sidecar', "cards=127.0.0.1:$port", '--profiles', "$this->work/profiles.toml");
        wait_until(fn() => is_resource(@fsockopen('127.0.0.1', $port)));
        $this->url = "http://127.0.0.1:$port";
    }

    public function ctl(string ...$words): void
    {
        $process = open('sandbox', 'ctl', ...[...$words, '--manifest', $this->manifest()]);
        if (proc_close($process) !== 0) {
            throw new RuntimeException(implode(' ', $words) . ' failed');
        }
    }

    public function close(): void
    {
        foreach (array_reverse($this->running) as $process) {
            proc_terminate($process);
            proc_close($process);
        }
        array_map(unlink(...), glob("$this->work/*"));
        rmdir($this->work);
    }

    private function start(string ...$words): void
    {
        $this->running[] = open(...$words);
    }

    private function manifest(): string
    {
        return "$this->work/sandbox.json";
    }
}

function open(string ...$words): mixed
{
    return proc_open(['countersign', ...$words], [1 => ['file', '/dev/null', 'w']], $pipes);
}

function wait_until(callable $condition): void
{
    for ($tries = 0; !$condition(); $tries++) {
        $tries < 400 ?: throw new RuntimeException('it does not start');
        usleep(50_000);
    }
}

function free_port(): int
{
    $bound = stream_socket_server('tcp://127.0.0.1:0');
    return (int) substr(strrchr(stream_socket_get_name($bound, false), ':'), 1);
}

umask(0077);
$stage = new Stage('mypopup');
try {
    $shop = new Shop($stage->url);

    foreach (range(1, 10) as $_) {
        $shop->products();
    }
    $stage->ctl('assert', '--logins', '1', '--refreshes', '0', '--no-expired');

    // The access token lives for an hour. The reply to its refresh is lost.
    $stage->ctl('fault', 'lost_reply', '--on', 'refresh');
    $stage->ctl('advance', '6h');
    $shop->products();
    $stage->ctl('assert', '--logins', '1', '--refreshes', '1');
    echo "six hours: one login, one refresh\n";
} finally {
    $stage->close();
}
