package bpf

// The objects are built by one pinned compiler and committed, so that users need no clang; a test
// rebuilds them and compares the bytes. -mcpu=v3 (32-bit jumps and arithmetic) needs Linux 5.1.

//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -go-package bpf -cc clang-19 -strip llvm-strip-19 -target bpfel -type reason -type endpoint steer steer.c -- -mcpu=v3 -Wall -Wextra -Werror
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -go-package bpf -cc clang-19 -strip llvm-strip-19 -target bpfel redirect redirect.c -- -mcpu=v3 -Wall -Wextra -Werror
