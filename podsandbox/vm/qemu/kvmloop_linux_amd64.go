package qemu

import (
	"encoding/binary"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// From linux/kvm.h.
const (
	kvmCreateVM        = 0xAE01
	kvmGetVCPUMmapSize = 0xAE04
	kvmCreateVCPU      = 0xAE41
	kvmSetTSSAddr      = 0xAE47
	kvmRun             = 0xAE80
	kvmSetMemory       = 0x4020AE46
	kvmSetRegs         = 0x4090AE82
	kvmGetSregs        = 0x8138AE83
	kvmSetSregs        = 0x4138AE84
	kvmExitHLT         = 5
)

type kvmMemory struct {
	slot, flags          uint32
	guest, size, address uint64
}

type kvmRegs struct {
	rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp uint64
	r8, r9, r10, r11, r12, r13, r14, r15   uint64
	rip, rflags                            uint64
}

type kvmSegment struct {
	base                         uint64
	limit                        uint32
	selector                     uint16
	kind, present, dpl, db, s, l uint8
	g, avl, unusable, padding    uint8
}

type kvmSregs struct {
	cs, ds, es, fs, gs, ss, tr, ldt         kvmSegment
	tables                                  [2][2]uint64 // gdt, idt
	cr0, cr2, cr3, cr4, cr8, efer, apicBase uint64
	interrupts                              [4]uint64
}

// Where the loop's guest has its parts, in guest-physical memory.
const (
	loopPages = 0x1000 // PML4, PDPT, page directory
	loopCode  = 0x8000
	loopSize  = 0x10000
)

// runLoop runs a guest that counts down from n in long mode, and tells how long it took.
func runLoop(n uint32) (time.Duration, error) {
	kvm, err := unix.Open("/dev/kvm", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("open /dev/kvm: %w", err)
	}
	defer unix.Close(kvm)
	machine, err := ioctl(kvm, kvmCreateVM, 0, "create a VM")
	if err != nil {
		return 0, err
	}
	defer unix.Close(machine)
	_, _ = ioctl(machine, kvmSetTSSAddr, 0xfffbd000, "") // some processors want it
	memory, err := unix.Mmap(-1, 0, loopSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	if err != nil {
		return 0, fmt.Errorf("map the guest's memory: %w", err)
	}
	writeLoop(memory, n)
	region := kvmMemory{size: loopSize, address: uint64(uintptr(unsafe.Pointer(&memory[0])))}
	if _, err := ioctl(machine, kvmSetMemory, uintptr(unsafe.Pointer(&region)), "set the guest's memory"); err != nil {
		return 0, err
	}
	cpu, err := ioctl(machine, kvmCreateVCPU, 0, "create a processor")
	if err != nil {
		return 0, err
	}
	defer unix.Close(cpu)
	return runCPU(kvm, cpu)
}

// writeLoop puts identity page tables and the code into the guest's memory.
func writeLoop(memory []byte, n uint32) {
	le := binary.LittleEndian
	le.PutUint64(memory[loopPages:], loopPages+0x1000|3)
	le.PutUint64(memory[loopPages+0x1000:], loopPages+0x2000|3)
	le.PutUint64(memory[loopPages+0x2000:], 0x83) // one 2 MiB page
	code := []byte{0xB9, 0, 0, 0, 0,              // mov ecx, n
		0xFF, 0xC9, // dec ecx
		0x75, 0xFC, // jnz back
		0xF4} // hlt
	le.PutUint32(code[1:], n)
	copy(memory[loopCode:], code)
}

func runCPU(kvm, cpu int) (time.Duration, error) {
	if err := enterLongMode(cpu); err != nil {
		return 0, err
	}
	size, err := ioctl(kvm, kvmGetVCPUMmapSize, 0, "size the processor's page")
	if err != nil {
		return 0, err
	}
	run, err := unix.Mmap(cpu, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return 0, fmt.Errorf("map the processor's page: %w", err)
	}
	start := time.Now()
	for {
		_, err = ioctl(cpu, kvmRun, 0, "run the processor")
		if err == nil {
			break
		}
		if time.Since(start) > probeBudget*10 {
			return 0, err // interrupted by signals all the while, or failed
		}
	}
	took := time.Since(start)
	if reason := binary.LittleEndian.Uint32(run[8:]); reason != kvmExitHLT {
		return took, fmt.Errorf("the guest stopped for reason %d instead of halting", reason)
	}
	return took, nil
}

func enterLongMode(cpu int) error {
	var s kvmSregs
	if _, err := ioctl(cpu, kvmGetSregs, uintptr(unsafe.Pointer(&s)), "read the processor's state"); err != nil {
		return err
	}
	code := kvmSegment{limit: 0xffffffff, selector: 8, kind: 11, present: 1, s: 1, l: 1, g: 1}
	data := kvmSegment{limit: 0xffffffff, selector: 16, kind: 3, present: 1, s: 1, db: 1, g: 1}
	s.cs = code
	s.ds, s.es, s.fs, s.gs, s.ss = data, data, data, data, data
	s.cr3, s.cr4 = loopPages, 1<<5 // PAE
	s.cr0 = 1<<31 | 1<<5 | 1<<4 | 1<<1 | 1
	s.efer = 1<<10 | 1<<8 // long mode, active
	if _, err := ioctl(cpu, kvmSetSregs, uintptr(unsafe.Pointer(&s)), "enter long mode"); err != nil {
		return err
	}
	r := kvmRegs{rip: loopCode, rflags: 2, rsp: loopSize}
	_, err := ioctl(cpu, kvmSetRegs, uintptr(unsafe.Pointer(&r)), "set the processor's registers")
	return err
}

func ioctl(fd int, request, arg uintptr, what string) (int, error) {
	n, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, arg)
	if errno != 0 {
		return 0, fmt.Errorf("%s: %w", what, errno)
	}
	return int(n), nil
}
