// The physical limit: a WebSocket server that does nothing but send().
//
//   limit each | batched | patient
//
// Prints its port. Reads records from stdin: the number of frames (uint32), their lengths (uint32 each), their bytes;
// numbers in the machine's own order. "each" sends every frame to every connection by itself. "batched" sends every
// connection all frames of a record together, and waits until it has taken them. "patient" does the same without
// waiting: a connection that cannot take all of them gets the rest later. All clients use the same key, so the answer to a
// handshake is a constant.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 200000 };
enum mode { EACH, BATCHED, PATIENT };

static const char ANSWER[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
static int connections[MAX_CONNECTIONS];
static struct pollfd unfinished[MAX_CONNECTIONS];
static size_t sent_to[MAX_CONNECTIONS];
static int count = 0;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void send_all(int at, const char *bytes, size_t length) {
  while (length > 0 && connections[at] >= 0) {
    ssize_t sent = send(connections[at], bytes, length, MSG_NOSIGNAL);
    if (sent <= 0) {
      close(connections[at]);
      connections[at] = -1;
      return;
    }
    bytes += sent;
    length -= (size_t)sent;
  }
}

/* What a connection takes of the rest; false when there is no more to send to it. */
static int send_some(int at, const char *bytes, size_t length) {
  ssize_t sent = send(connections[at], bytes + sent_to[at], length - sent_to[at], MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent > 0) {
    sent_to[at] += (size_t)sent;
  } else if (errno != EAGAIN) {
    close(connections[at]);
    connections[at] = -1;
  }
  return connections[at] >= 0 && sent_to[at] < length;
}

static void send_patiently(const char *bytes, size_t length) {
  for (int at = 0; at < count; at++) {
    unfinished[at] = (struct pollfd){.fd = connections[at], .events = POLLOUT, .revents = POLLOUT};
    sent_to[at] = 0;
  }
  for (;;) {
    int left = 0;
    for (int at = 0; at < count; at++) {
      if (unfinished[at].fd < 0) continue;
      if (unfinished[at].revents == 0 || send_some(at, bytes, length)) left++;
      else unfinished[at].fd = -1;
    }
    if (left == 0) return;
    if (poll(unfinished, (nfds_t)count, -1) < 0) fail("poll");
  }
}

static void welcome(int listener) {
  int connection = accept(listener, NULL, NULL);
  if (connection < 0 || count == MAX_CONNECTIONS) fail("accept");
  int on = 1;
  setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  char request[4096];
  size_t length = 0;
  while (length < sizeof request && (length < 4 || memcmp(request + length - 4, "\r\n\r\n", 4) != 0)) {
    ssize_t got = recv(connection, request + length, sizeof request - length, 0);
    if (got <= 0) fail("handshake");
    length += (size_t)got;
  }
  connections[count] = connection;
  send_all(count++, ANSWER, sizeof ANSWER - 1);
}

/* False at the end of the input. */
static int read_all(void *into, size_t length) {
  return length == 0 || fread(into, length, 1, stdin) == 1;
}

static int deliver(enum mode mode) {
  uint32_t frames;
  if (!read_all(&frames, sizeof frames)) return 0;
  uint32_t *lengths = malloc(frames * sizeof *lengths);
  if (lengths == NULL || !read_all(lengths, frames * sizeof *lengths)) return 0;
  size_t total = 0;
  for (uint32_t frame = 0; frame < frames; frame++) total += lengths[frame];
  char *bytes = malloc(total);
  if (bytes == NULL || !read_all(bytes, total)) return 0;

  if (mode == PATIENT) {
    send_patiently(bytes, total);
  } else if (mode == BATCHED) {
    for (int at = 0; at < count; at++) send_all(at, bytes, total);
  } else {
    const char *start = bytes;
    for (uint32_t frame = 0; frame < frames; start += lengths[frame++]) {
      for (int at = 0; at < count; at++) send_all(at, start, lengths[frame]);
    }
  }
  free(lengths);
  free(bytes);
  return 1;
}

int main(int argc, char **argv) {
  enum mode mode = EACH;
  if (argc == 2 && strcmp(argv[1], "batched") == 0) mode = BATCHED;
  if (argc == 2 && strcmp(argv[1], "patient") == 0) mode = PATIENT;
  signal(SIGPIPE, SIG_IGN);
  setvbuf(stdin, NULL, _IONBF, 0);
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 4096) != 0) fail("listen");
  getsockname(listener, (struct sockaddr *)&address, &size);
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);

  struct pollfd ready[2] = {{.fd = 0, .events = POLLIN}, {.fd = listener, .events = POLLIN}};
  for (;;) {
    if (poll(ready, 2, -1) < 0) fail("poll");
    if (ready[1].revents != 0) welcome(listener);
    if (ready[0].revents != 0 && !deliver(mode)) return 0;
  }
}
