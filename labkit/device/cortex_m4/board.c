/* What runs a network on a bare Cortex-M4: from reset to main, and a line to the debugger's host.

   Semihosting: `bkpt 0xAB` asks the debugger (here QEMU) for operation r0 on what r1 points to.
   Arm, "Semihosting for AArch32 and AArch64", operations SYS_WRITEC and SYS_EXIT. */
#include <stddef.h>
#include <stdint.h>

#define SYSTICK_CONTROL (*(volatile uint32_t *)0xE000E010)
#define SYSTICK_RELOAD (*(volatile uint32_t *)0xE000E014)
#define SYSTICK_VALUE (*(volatile uint32_t *)0xE000E018)
#define LONGEST 0xFFFFFFu /* ticks until the clock begins again */

extern uint32_t stack_top, data_load, data_start, data_end, bss_start, bss_end;
extern const uint8_t images[];
extern const int32_t image_count, image_bytes, logit_count;
int run(const uint8_t *pixels, uint8_t *logits);
void reset(void);
void clock_began_again(void);

static volatile uint32_t rounds;

__attribute__((section(".vectors"), used)) const void *const vectors[16] = {
    [0] = &stack_top, [1] = reset, [15] = clock_began_again};

void clock_began_again(void)
{
  rounds++;
}

static void ask_host(uint32_t operation, const void *argument)
{
  register uint32_t r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
}

static void print(uint32_t value, char end)
{
  for (int shift = 28; shift >= 0; shift -= 4) {
    const char digit = "0123456789abcdef"[(value >> shift) & 15];
    ask_host(0x03, &digit);
  }
  ask_host(0x03, &end);
}

/* Compilers call these two for loops of their own. */
void *memset(void *to, int value, size_t count)
{
  for (volatile uint8_t *byte = to; count; count--)
    *byte++ = (uint8_t)value;
  return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t count)
{
  const uint8_t *source = from;
  for (volatile uint8_t *byte = to; count; count--)
    *byte++ = *source++;
  return to;
}

/* For each image a line: ticks of the clock, then the codes of the logits. */
void reset(void)
{
  static uint8_t logits[1024];
  const uint32_t *from = &data_load;
  for (uint32_t *to = &data_start; to < &data_end;)
    *to++ = *from++;
  for (uint32_t *to = &bss_start; to < &bss_end;)
    *to++ = 0;
  SYSTICK_RELOAD = LONGEST;
  for (int32_t i = 0; i < image_count; i++) {
    rounds = 0;
    SYSTICK_VALUE = 0;
    SYSTICK_CONTROL = 7; /* on, with the interrupt, at the processor's clock */
    run(images + i * image_bytes, logits);
    SYSTICK_CONTROL = 4; /* off, at the same clock: another one would divide anew what is left */
    print(rounds * (LONGEST + 1) + LONGEST - SYSTICK_VALUE, ' ');
    for (int32_t n = 0; n < logit_count; n++)
      print(logits[n], n + 1 < logit_count ? ' ' : '\n');
  }
  ask_host(0x18, (const void *)0x20026); /* SYS_EXIT: done */
}
