/* The lab's guest program, PID 1: everything that a migration could break, it shows on the console.
 *
 *   boot ID                 once; a new ID is a new life
 *   tick N UPTIME           ten times a second; N never goes backwards within a life
 *   disk ok N | disk BAD N  once a second: block N was written to the disk, and an older one read back
 *   disk sum=HEX bytes=N size=N new|kept|LOST
 *                           at boot, and each `again` seconds: what the lasting content reads as, of a disk of `size`;
 *                           LOST: it is not what was once written
 *
 * Kernel arguments: ballast=MIB of memory that compresses badly (default 32), dirty=PAGES_PER_S (default 0),
 * fill=MIB of lasting content (default 0), again=S (default 0: at boot only), pattern=TEXT (up to 31 characters): each
 * page of the ballast then has "memory:TEXT" in it, and each of the lasting content "disk:TEXT".
 * The ACPI power button ends it. The disk, if there is one, has no filesystem: first a ring of checksummed blocks that
 * change each second, then the lasting content, random bytes written once in the disk's life.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/input.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, SLOTS = 1024, TICK_MS = 100, SLICES_PER_S = 50, BUTTONS = 8, MARK_AT = 64 };
enum { MIB = 1 << 20, HEADER_AT = SLOTS * PAGE, CONTENT_AT = HEADER_AT + MIB };

struct block {
    uint64_t number, seed, sum;
    uint64_t data[PAGE / 8 - 3];
};

/* What the lasting content is, as a block of its own. It is written last, so that it is there only with all of it. */
struct header {
    uint64_t magic, mib, seed, sum;
};
static const uint64_t MAGIC = 0x6c617374696e6721u;

static uint64_t next(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

static double uptime(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

static void sleep_ms(long ms) {
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&pause, &pause) && errno == EINTR) {
    }
}

static void say(const char *line) {
    size_t left = strlen(line);
    while (left) {
        ssize_t written = write(1, line, left);
        if (written > 0) {
            line += written;
            left -= written;
        }
    }
}

/* Where the value of a kernel argument begins; NULL: it was not given. */
static const char *given(const char *name) {
    static char line[4096];
    if (!line[0]) {
        int file = open("/proc/cmdline", O_RDONLY);
        ssize_t got = file < 0 ? -1 : read(file, line, sizeof line - 1);
        line[got > 0 ? got : 0] = 0;
        close(file);
    }
    const char *found = strstr(line, name);
    return found ? found + strlen(name) : NULL;
}

static long argument(const char *name, long otherwise) {
    const char *found = given(name);
    return found ? atol(found) : otherwise;
}

/* Put the pattern into every page, away from the word that is written over. No-op when none was asked for. */
static void mark(const char *where, void *memory, size_t bytes) {
    char words[48];
    const char *pattern = given(" pattern=");
    if (!pattern) {
        return;
    }
    int length = snprintf(words, sizeof words, "%s:%.*s", where, (int)strcspn(pattern, " \n") & 31, pattern);
    for (size_t at = MARK_AT; at < bytes; at += PAGE) {
        memcpy((char *)memory + at, words, length);
    }
}

static void dirty_forever(long mib, long pages_per_s) {
    size_t pages = (size_t)mib * 256;
    uint64_t state = 88172645463325252u;
    uint64_t *memory = malloc(pages * PAGE);
    if (!memory) {
        say("no memory for the ballast\n");
        return;
    }
    for (size_t i = 0; i < pages * PAGE / 8; i++) {
        memory[i] = next(&state);
    }
    mark("memory", memory, pages * PAGE);
    for (size_t page = 0;;) {
        for (long i = 0; i < pages_per_s / SLICES_PER_S; i++, page = (page + 1) % pages) {
            memory[page * PAGE / 8] = next(&state);
        }
        sleep_ms(pages_per_s ? 1000 / SLICES_PER_S : 1000000);
    }
}

static uint64_t sum_of(const struct block *block) {
    uint64_t sum = block->number * 31 + block->seed;
    for (size_t i = 0; i < sizeof block->data / 8; i++) {
        sum = sum * 1099511628211u + block->data[i];
    }
    return sum;
}

static int get(int disk, uint64_t slot, struct block *block) {
    return pread(disk, block, PAGE, (off_t)slot * PAGE) == PAGE && block->sum == sum_of(block);
}

static int put(int disk, uint64_t number, struct block *block) {
    block->number = number;
    block->seed = number * 2654435761u + 1;
    uint64_t state = block->seed;
    for (size_t i = 0; i < sizeof block->data / 8; i++) {
        block->data[i] = next(&state);
    }
    block->sum = sum_of(block);
    return pwrite(disk, block, PAGE, (off_t)(number % SLOTS) * PAGE) == PAGE;
}

/* The highest number on the disk; every block up to it must be whole. */
static uint64_t highest(int disk, struct block *block) {
    uint64_t found = 0;
    for (uint64_t slot = 0; slot < SLOTS && get(disk, slot, block); slot++) {
        found = block->number > found ? block->number : found;
    }
    return found;
}

static uint64_t add_up(uint64_t sum, const uint64_t *words) {
    for (size_t i = 0; i < MIB / 8; i++) {
        sum = (sum ^ words[i]) * 1099511628211u;
    }
    return sum;
}

static uint64_t read_content(int disk, uint64_t mib, uint64_t *buffer) {
    uint64_t sum = 14695981039346656037u;
    for (uint64_t at = 0; at < mib; at++) {
        if (pread(disk, buffer, MIB, (off_t)(CONTENT_AT + at * MIB)) != MIB) {
            return 0;
        }
        sum = add_up(sum, buffer);
    }
    return sum;
}

static int write_content(int disk, uint64_t mib, uint64_t *buffer) {
    struct header header = {.magic = MAGIC, .mib = mib, .sum = 14695981039346656037u};
    if (getrandom(&header.seed, sizeof header.seed, 0) != sizeof header.seed) {
        return 0;
    }
    uint64_t state = header.seed |= 1;
    for (uint64_t at = 0; at < mib; at++) {
        for (size_t i = 0; i < MIB / 8; i++) {
            buffer[i] = next(&state);
        }
        mark("disk", buffer, MIB);
        header.sum = add_up(header.sum, buffer);
        if (pwrite(disk, buffer, MIB, (off_t)(CONTENT_AT + at * MIB)) != MIB) {
            return 0;
        }
    }
    memset(buffer, 0, PAGE);
    memcpy(buffer, &header, sizeof header);
    return !fsync(disk) && pwrite(disk, buffer, PAGE, HEADER_AT) == PAGE && !fsync(disk);
}

/* Read the lasting content back, and say what it reads as. Written first if the disk has none and `mib` is not 0. */
static void show_content(int disk, uint64_t mib, uint64_t *buffer) {
    struct header header;
    const char *how = "kept";
    for (;;) {
        if (pread(disk, buffer, PAGE, HEADER_AT) != PAGE) {
            return;
        }
        memcpy(&header, buffer, sizeof header);
        if (header.magic == MAGIC) {
            break;
        }
        if (!mib || !write_content(disk, mib, buffer)) {
            return;
        }
        how = "new";
    }
    char line[160];
    uint64_t size = 0;
    uint64_t sum = read_content(disk, header.mib, buffer);
    ioctl(disk, BLKGETSIZE64, &size);
    snprintf(line, sizeof line, "disk sum=%016llx bytes=%llu size=%llu %s\n", (unsigned long long)sum,
             (unsigned long long)header.mib * MIB, (unsigned long long)size, sum == header.sum ? how : "LOST");
    say(line);
    memset(buffer, 0, MIB); /* what is of the disk is not of the memory too */
}

static void use_disk_forever(void) {
    struct block *block;
    uint64_t *buffer;
    int disk = open("/dev/vda", O_RDWR | O_DIRECT | O_SYNC);
    int content = open("/dev/vda", O_RDWR | O_DIRECT);
    if (disk < 0 || content < 0 || posix_memalign((void **)&block, PAGE, PAGE) ||
        posix_memalign((void **)&buffer, PAGE, MIB)) {
        say("no disk\n");
        return;
    }
    long again = argument(" again=", 0);
    double shown = uptime();
    show_content(content, argument(" fill=", 0), buffer);
    uint64_t random = 2463534242u;
    /* Slot 0 belongs to number 0, written at the first boot only. */
    uint64_t number = get(disk, 0, block) ? highest(disk, block) : 0;
    for (;; number++) {
        char line[64];
        int good = put(disk, number, block);
        uint64_t oldest = number >= SLOTS ? number - SLOTS + 1 : 0;
        uint64_t wanted = oldest + next(&random) % (number - oldest + 1);
        good = good && get(disk, wanted % SLOTS, block) && block->number == wanted;
        snprintf(line, sizeof line, "disk %s %llu\n", good ? "ok" : "BAD", (unsigned long long)number);
        say(line);
        if (again && uptime() - shown >= again) {
            shown = uptime();
            show_content(content, 0, buffer);
        }
        sleep_ms(1000);
    }
}

static int open_buttons(int *files) {
    int count = 0;
    for (int i = 0; i < BUTTONS; i++) {
        char path[32];
        snprintf(path, sizeof path, "/dev/input/event%d", i);
        int file = open(path, O_RDONLY | O_NONBLOCK);
        if (file >= 0) {
            files[count++] = file;
        }
    }
    return count;
}

static int pressed(const int *files, int count) {
    struct input_event event;
    for (int i = 0; i < count; i++) {
        while (read(files[i], &event, sizeof event) == sizeof event) {
            if (event.type == EV_KEY && event.code == KEY_POWER && event.value == 1) {
                return 1;
            }
        }
    }
    return 0;
}

static void say_boot(void) {
    char line[64] = "boot ";
    int file = open("/proc/sys/kernel/random/boot_id", O_RDONLY);
    ssize_t got = file < 0 ? 0 : read(file, line + 5, 37);
    line[5 + (got > 0 ? got : 0)] = 0;
    close(file);
    say(line);
}

int main(void) {
    int buttons[BUTTONS];
    int count = open_buttons(buttons);
    say_boot();
    pid_t workers[2];
    if (!(workers[0] = fork())) {
        dirty_forever(argument("ballast=", 32), argument("dirty=", 0));
        _exit(1);
    }
    if (!(workers[1] = fork())) {
        use_disk_forever();
        _exit(1);
    }
    for (uint64_t number = 0; !pressed(buttons, count); number++) {
        char line[64];
        snprintf(line, sizeof line, "tick %llu %.3f\n", (unsigned long long)number, uptime());
        say(line);
        sleep_ms(TICK_MS);
    }
    say("power button\n");
    /* Or the disk would go while it is written to, and look as if it had lost something. */
    for (int i = 0; i < 2; i++) {
        kill(workers[i], SIGKILL);
        waitpid(workers[i], NULL, 0);
    }
    sync();
    reboot(RB_POWER_OFF);
    return 0;
}
