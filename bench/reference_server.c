/* An endpoint that measures its true latency. It responds a fixed time after the arrival of a request, and
 * measures the time between the kernel's timestamps of the arrival and of the departure of the response.
 *
 *   reference_server DELAY_MICROSECONDS LOG TOKENS GAP_MICROSECONDS [CERTIFICATE KEY]
 *
 * Prints the port that it listens on (127.0.0.1). For a GET request to /N it writes the line
 * "N ARRIVED DURATION HANDSHAKE" to LOG (Unix time and durations in nanoseconds). The log is complete after
 * the end of the server, by SIGTERM or by the end of its parent process. HANDSHAKE is the server's part of
 * the TLS handshake, from the arrival of the client's bytes to the departure of the server's; it is 0 if the
 * connection has already had a request. Each response has the header `Server-Timing: total;dur=MS`, the time
 * until the response was written, which is some microseconds less.
 *
 * The response to a POST request is a stream of TOKENS tokens as of OpenAI's chat completions: the headers at
 * once, the first token after DELAY, and each further token after GAP. Its line in LOG is
 * "N ID ARRIVED FIRST LAST": the durations until the departure of the first and the last token. ID is the
 * text of each token; it is unique, for clients that cannot have a number in the path.
 * There is one thread per connection, so that connections do not wait for each other.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/net_tstamp.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char BODY[] = "{\"result\": \"positive\", \"confidence\": 0.93}";
static const char STREAM_HEAD[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
static long long delay_ns, gap_ns;
static int tokens;
static atomic_llong streams;
static FILE *log_file;
static SSL_CTX *context;

struct connection {
    int fd;
    SSL *ssl; /* with memory BIOs, so that the bytes are received here, with their timestamps */
    BIO *in, *out;
    long long arrived;  /* CLOCK_REALTIME, ns: last bytes received */
    long long departed; /* likewise: last bytes sent */
    long long handshake; /* ns */
};

static long long nanoseconds(struct timespec t) { return t.tv_sec * 1000000000LL + t.tv_nsec; }

static long long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return nanoseconds(t);
}

static void sleep_until(long long instant)
{
    struct timespec t = {instant / 1000000000LL, instant % 1000000000LL};
    while (clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &t, NULL) != 0) {}
}

/* Like recv. Sets *stamp to the kernel's timestamp of this kind, if there is one. */
static ssize_t receive_stamp(int fd, char *buffer, size_t size, int flags, int kind, long long *stamp)
{
    char control[256];
    struct iovec vector = {buffer, size};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t count = recvmsg(fd, &message, flags);
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&message); count >= 0 && h; h = CMSG_NXTHDR(&message, h))
        if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == kind) {
            struct timespec t; /* SCM_TIMESTAMPING has three timestamps; the first is the software's */
            memcpy(&t, CMSG_DATA(h), sizeof t);
            *stamp = nanoseconds(t);
        }
    return count;
}

static ssize_t receive(struct connection *c, char *buffer, size_t size)
{
    long long stamp = 0;
    ssize_t count = receive_stamp(c->fd, buffer, size, 0, SCM_TIMESTAMPNS, &stamp);
    c->arrived = stamp ? stamp : now();
    return count;
}

/* Set the departure to the last timestamp in the error queue, unless it is older than the last send. */
static void depart(struct connection *c)
{
    long long stamp = 0;
    while (receive_stamp(c->fd, NULL, 0, MSG_ERRQUEUE, SCM_TIMESTAMPING, &stamp) >= 0) {}
    if (stamp > c->departed)
        c->departed = stamp;
}

static int send_all(struct connection *c, const char *data, size_t size)
{
    while (size > 0) {
        c->departed = now();
        ssize_t sent = send(c->fd, data, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return -1;
        data += sent;
        size -= sent;
    }
    return 0;
}

/* Send what OpenSSL has written, and receive what it waits for. 1: done, 0: call again, -1: error. */
static int exchange(struct connection *c, int result)
{
    char buffer[16384];
    int count, sent = 0, error = SSL_get_error(c->ssl, result);
    while ((count = BIO_read(c->out, buffer, sizeof buffer)) > 0) {
        if (send_all(c, buffer, count) < 0)
            return -1;
        sent = 1;
    }
    if (sent && !SSL_is_init_finished(c->ssl)) { /* clients do not wait for the session tickets after it */
        depart(c);
        c->handshake += c->departed - c->arrived;
    }
    if (result > 0)
        return 1;
    if (error != SSL_ERROR_WANT_READ)
        return -1;
    count = receive(c, buffer, sizeof buffer);
    return count > 0 && BIO_write(c->in, buffer, count) == count ? 0 : -1;
}

static ssize_t read_some(struct connection *c, char *buffer, size_t size)
{
    int count, state;
    if (!c->ssl)
        return receive(c, buffer, size);
    do
        count = SSL_read(c->ssl, buffer, size);
    while ((state = exchange(c, count)) == 0);
    return state < 0 ? -1 : count;
}

static int write_all(struct connection *c, const char *data, size_t size)
{
    if (!c->ssl)
        return send_all(c, data, size);
    return exchange(c, SSL_write(c->ssl, data, size)) == 1 ? 0 : -1;
}

/* Read one request. Return its number, or -1 at the end of the connection. */
static long long read_request(struct connection *c, int *last, int *is_post)
{
    char buffer[65536];
    size_t size = 0;
    char *body = NULL, *length;
    long long number = 0;
    do {
        ssize_t count = read_some(c, buffer + size, sizeof buffer - 1 - size);
        if (count <= 0)
            return -1;
        size += count;
        buffer[size] = 0;
        body = strstr(buffer, "\r\n\r\n");
        length = strcasestr(buffer, "\r\ncontent-length:");
    } while (!body || size < (size_t)(body + 4 - buffer) + (length && length < body ? atol(length + 17) : 0));
    *last = strcasestr(buffer, "\r\nconnection: close") != NULL;
    *is_post = strncmp(buffer, "POST ", 5) == 0;
    sscanf(buffer, "%*s /%lld", &number);
    return number;
}

static int respond(struct connection *c, long long number)
{
    char text[512];
    long long duration = now() - c->arrived;
    int size = snprintf(text, sizeof text,
                        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
                        "Server-Timing: total;dur=%.6f\r\n\r\n%s",
                        sizeof BODY - 1, duration / 1e6, BODY);
    int done = write_all(c, text, size);
    if (number > 0) {
        depart(c);
        fprintf(log_file, "%lld %lld %lld %lld\n", number, c->arrived, c->departed - c->arrived, c->handshake);
    }
    c->handshake = 0;
    return done;
}

/* Append an event of a stream to the text. */
static int add_event(char *text, int size, long long id, const char *choices, const char *usage)
{
    return size + sprintf(text + size,
                          "data: {\"id\":\"chatcmpl-%lld\",\"object\":\"chat.completion.chunk\",\"created\":1,"
                          "\"model\":\"reference\",\"choices\":[%s]%s}\n\n",
                          id, choices, usage);
}

/* Send the text as one chunk of the body. */
static int send_chunk(struct connection *c, const char *text, int size, const char *end)
{
    char chunk[2048];
    int done = write_all(c, chunk, sprintf(chunk, "%x\r\n%.*s\r\n%s", size, size, text, end));
    depart(c);
    return done;
}

/* Send a stream. As with vLLM and llama.cpp, the role comes with the first token. */
static int stream(struct connection *c, long long number)
{
    static const char ROLE[] =
        "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}";
    static const char FINISH[] = "{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}";
    char text[1536], token[128], usage[128];
    long long id = atomic_fetch_add(&streams, 1) + 1, arrived = c->arrived, first = 0;
    int done = write_all(c, STREAM_HEAD, sizeof STREAM_HEAD - 1);
    sprintf(token, "{\"index\":0,\"delta\":{\"content\":\"%lld \"},\"finish_reason\":null}", id);
    for (int i = 0; i < tokens && done == 0; i++) {
        int size = i == 0 ? add_event(text, 0, id, ROLE, "") : 0;
        size = add_event(text, size, id, token, "");
        sleep_until(arrived + delay_ns + i * gap_ns);
        done = send_chunk(c, text, size, "");
        first = i == 0 ? c->departed : first;
    }
    if (done == 0)
        fprintf(log_file, "%lld %lld %lld %lld %lld\n", number, id, arrived, first - arrived, c->departed - arrived);
    sprintf(usage, ",\"usage\":{\"prompt_tokens\":8,\"completion_tokens\":%d,\"total_tokens\":%d}", tokens, tokens + 8);
    int size = add_event(text, add_event(text, 0, id, FINISH, ""), id, "", usage);
    size += sprintf(text + size, "data: [DONE]\n\n");
    return done == 0 ? send_chunk(c, text, size, "0\r\n\r\n") : done;
}

static void *serve(void *argument)
{
    struct connection c = {.fd = (int)(long)argument};
    int on = 1, last = 0, is_post = 0, state = 1;
    setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (context) {
        c.ssl = SSL_new(context);
        c.in = BIO_new(BIO_s_mem());
        c.out = BIO_new(BIO_s_mem());
        SSL_set_bio(c.ssl, c.in, c.out);
        while ((state = exchange(&c, SSL_accept(c.ssl))) == 0) {}
    }
    while (state == 1 && !last) {
        long long number = read_request(&c, &last, &is_post);
        if (number < 0)
            break;
        if (!is_post)
            sleep_until(c.arrived + delay_ns);
        if ((is_post ? stream(&c, number) : respond(&c, number)) < 0)
            break;
    }
    SSL_free(c.ssl);
    close(c.fd);
    return NULL;
}

__attribute__((noreturn)) static void *listen_on(void *argument)
{
    int listener = (int)(long)argument;
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 256 * 1024);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd >= 0 && pthread_create(&thread, &attributes, serve, (void *)(long)fd) != 0)
            close(fd);
    }
}

static int read_identity(const char *certificate, const char *key)
{
    context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION); /* in which the client sends the last message */
    return SSL_CTX_use_certificate_chain_file(context, certificate) == 1 &&
           SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1;
}

/* Return a listening socket on a free port of loopback, or -1. */
static int open_listener(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    int departures = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_TSONLY;
    /* Connections inherit these options, so that a request that arrives before accept has a timestamp. */
    setsockopt(listener, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    setsockopt(listener, SOL_SOCKET, SO_TIMESTAMPING, &departures, sizeof departures);
    if (bind(listener, (struct sockaddr *)&address, size) < 0 || listen(listener, 4096) < 0)
        return -1;
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

int main(int count, char **arguments)
{
    sigset_t end;
    pthread_t thread;
    int listener, signal_number;
    if (count != 5 && count != 7) {
        fprintf(stderr, "usage: reference_server DELAY_MICROSECONDS LOG TOKENS GAP_MICROSECONDS [CERTIFICATE KEY]\n");
        return 2;
    }
    delay_ns = atoll(arguments[1]) * 1000;
    tokens = atoi(arguments[3]);
    gap_ns = atoll(arguments[4]) * 1000;
    log_file = fopen(arguments[2], "w");
    if (!log_file)
        return perror(arguments[2]), 1;
    if (count == 7 && !read_identity(arguments[5], arguments[6]))
        return fprintf(stderr, "no certificate and key in %s and %s\n", arguments[5], arguments[6]), 1;
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &end, NULL); /* in all threads; this one waits for it */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    prctl(PR_SET_TIMERSLACK, 1); /* inherited by threads; keeps the latency close to DELAY */
    listener = open_listener();
    if (listener < 0 || pthread_create(&thread, NULL, listen_on, (void *)(long)listener) != 0)
        return perror("listen"), 1;
    sigwait(&end, &signal_number);
    fflush(log_file);
    _exit(0);
}
