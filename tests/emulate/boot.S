/* The emulated machine's firmware: starts a Linux kernel without BIOS or boot loader.
 *
 * The CPU begins in real mode at the last 16 bytes of this 64 KiB ROM, which lies below 4 GiB. The ROM goes to 32-bit mode,
 * copies itself to RAM, reads kernel and initial RAM file system from the one ATA disk by programmed I/O, builds the
 * "zero page" of Linux' boot protocol (Documentation/x86/boot.rst, 64-bit entry), and jumps to the uncompressed kernel.
 *
 * Given by the assembler's command line: KERNEL_SECTORS, INITRD_SECTORS, INITRD_BYTES, RAM_BYTES and a file "cmdline".
 * Disk: KERNEL_SECTORS of the kernel's physical memory from KERNEL_ADDRESS on, then INITRD_SECTORS. */

#define COPY            0x10000     /* where the ROM's copy in RAM begins */
#define ROM             0xffff0000
#define KERNEL_ADDRESS  0x1000000
#define INITRD_ADDRESS  0x8000000
#define BOOTED_FLAG     0x500
#define BOOTED          0x600df00d
#define STACK           0x9f000
#define SELECT_CODE32   0x08
#define SELECT_CODE64   0x10
#define SELECT_DATA     0x18
#define ATA_DATA        0x1f0
#define ATA_COUNT       0x1f2
#define ATA_DRIVE       0x1f6
#define ATA_STATUS      0x1f7       /* read: status; write: command */
#define ATA_CONTROL     0x3f6
#define ATA_READ        0x20
#define BURST           128         /* sectors a command */
#define POWER_OFF_PORT  0x8900      /* Bochs: the word "Shutdown" written here ends the emulation */

	.text
	.code32
	.globl _start
_start:                                 /* runs in RAM at COPY */
	movl $STACK, %esp
	cmpl $BOOTED, BOOTED_FLAG       /* RAM survives a reset: a guest that resets (kernel panic) must not boot for ever */
	je power_off
	movl $BOOTED, BOOTED_FLAG
	movb $2, %al                    /* polling: no interrupts from the disk */
	movw $ATA_CONTROL, %dx
	outb %al, %dx
	xorl %esi, %esi
	movl $KERNEL_ADDRESS, %edi
	movl $KERNEL_SECTORS, %ebp
	call read_disk
	movl $INITRD_ADDRESS, %edi
	movl $INITRD_SECTORS, %ebp
	call read_disk

	movl $0x20, %eax                /* CR4.PAE */
	movl %eax, %cr4
	movl $(COPY + page_map), %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx          /* EFER.LME */
	rdmsr
	orl $0x100, %eax
	wrmsr
	movl %cr0, %eax
	orl $0x80000000, %eax           /* CR0.PG */
	movl %eax, %cr0
	ljmp $SELECT_CODE64, $(COPY + long_mode)

/* Reads ebp sectors from sector esi on to edi; leaves both advanced. */
read_disk:
	movl $BURST, %ecx
	cmpl %ecx, %ebp
	jae 1f
	movl %ebp, %ecx
1:	movl %esi, %eax
	shrl $24, %eax
	orb $0xe0, %al                  /* master, LBA */
	movw $ATA_DRIVE, %dx
	outb %al, %dx
	movw $ATA_COUNT, %dx
	movb %cl, %al
	outb %al, %dx
	movl %esi, %eax
	incl %edx
	outb %al, %dx                   /* LBA 0-7 */
	shrl $8, %eax
	incl %edx
	outb %al, %dx                   /* LBA 8-15 */
	shrl $8, %eax
	incl %edx
	outb %al, %dx                   /* LBA 16-23 */
	movb $ATA_READ, %al
	movw $ATA_STATUS, %dx
	outb %al, %dx
	addl %ecx, %esi
	subl %ecx, %ebp
	movl %ecx, %ebx
2:	movw $ATA_STATUS, %dx
	inb %dx, %al
	andb $0x88, %al                 /* wait for "data request" without "busy" */
	cmpb $0x08, %al
	jne 2b
	movw $ATA_DATA, %dx
	movl $256, %ecx
	cld
	rep insw
	decl %ebx
	jnz 2b
	testl %ebp, %ebp
	jnz read_disk
	ret

power_off:
	movl $(COPY + power_off_word), %esi
	movl $8, %ecx
	movw $POWER_OFF_PORT, %dx
	rep outsb
1:	hlt
	jmp 1b
power_off_word:
	.ascii "Shutdown"

	.code64
long_mode:
	movw $SELECT_DATA, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movl $(COPY + zero_page), %esi
	movl $KERNEL_ADDRESS, %eax
	jmp *%rax

	.balign 8
gdt:	.quad 0
	.quad 0x00cf9b000000ffff        /* 0x08: 32-bit code, flat */
	.quad 0x00af9b000000ffff        /* 0x10: 64-bit code; boot.rst wants it at 0x10 */
	.quad 0x00cf93000000ffff        /* 0x18: data, flat */
gdt_register:
	.word gdt_register - gdt - 1
	.long ROM + gdt

	.balign 4096
page_map:                               /* identity map of 4 GiB in pages of 2 MiB */
	.quad COPY + page_pointers + 3
	.fill 511, 8, 0
page_pointers:
	.quad COPY + page_directories + 0x0003
	.quad COPY + page_directories + 0x1003
	.quad COPY + page_directories + 0x2003
	.quad COPY + page_directories + 0x3003
	.fill 508, 8, 0
page_directories:
	.set page, 0
	.rept 2048
	.quad (page << 21) + 0x83
	.set page, page + 1
	.endr

zero_page:                              /* struct boot_params; offsets from arch/x86/include/uapi/asm/bootparam.h */
	.org zero_page + 0x1e8
	.byte 2                         /* e820_entries */
	.org zero_page + 0x1fe
	.word 0xaa55                    /* boot_flag */
	.org zero_page + 0x202
	.ascii "HdrS"
	.word 0x020f                    /* version of the protocol */
	.org zero_page + 0x210
	.byte 0xff                      /* type_of_loader: none of the registered ones */
	.byte 1                         /* loadflags: LOADED_HIGH */
	.org zero_page + 0x218
	.long INITRD_ADDRESS
	.long INITRD_BYTES
	.org zero_page + 0x228
	.long COPY + command_line
	.org zero_page + 0x238
	.long 2047                      /* cmdline_size */
	.org zero_page + 0x2d0          /* e820_table: address, bytes, type 1 = usable */
	.quad 0, 0x9fc00
	.long 1
	.quad 0x100000, RAM_BYTES - 0x100000
	.long 1
	.org zero_page + 0x1000
command_line:
	.incbin "cmdline"
	.byte 0

	.org 0xfe00
	.code32
copy_to_ram:                            /* runs in the ROM */
	movw $SELECT_DATA, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movl $ROM, %esi
	movl $COPY, %edi
	movl $(0xfe00 / 4), %ecx
	cld
	rep movsl
	ljmp $SELECT_CODE32, $COPY

	.org 0xff00
	.code16
real_mode:
	cli
	movb $2, %al                    /* address line A20 on */
	outb %al, $0x92
	lgdtl %cs:gdt_register
	movl %cr0, %eax
	orb $1, %al
	movl %eax, %cr0
	ljmpl $SELECT_CODE32, $(ROM + copy_to_ram)

	.org 0xfff0
	jmp real_mode
	.org 0xffff
	.byte 0
