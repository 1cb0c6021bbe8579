package memory

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/core"
)

//go:embed driver/driver.c
var driverSource []byte

// allocator is a malloc of C.
type allocator struct {
	name    string
	pattern string // of the library's file; none: the C library's own
	install string
}

// The allocators of C that take part.
func glibc() allocator { return allocator{name: "glibc"} }

func mimalloc() allocator {
	return allocator{"mimalloc", "libmimalloc.so*", "apt-get install libmimalloc2.0"}
}

func jemalloc() allocator {
	return allocator{"jemalloc", "libjemalloc.so.2", "apt-get install libjemalloc2"}
}

// peers is the compiled driver, or why there is none.
type peers struct {
	driver string
	err    error
	found  map[string]found // by allocator
}

// found is an allocator's library, "" for the C library, or why it does not take part.
type found struct {
	file string
	err  error
}

// peerPatience is what a driver may take beyond its time. (guess: a process starts within 50 ms)
const peerPatience = 20 * time.Second

// openPeer measures a pattern of driver.c.
//
//go:noinline
func openPeer(a allocator, pattern string, threads, batch int) func(*bench) (runner, error) {
	return func(b *bench) (runner, error) {
		if b.peers == nil {
			b.peers = b.compile()
		}
		if b.peers.err != nil {
			return nil, b.peers.err
		}
		file, err := b.allocator(a)
		if err != nil {
			return nil, err
		}
		return &peer{b, a, file, pattern, threads, batch}, nil
	}
}

// compile makes the driver. It is kept open and its directory removed, so that nothing stays behind
// whatever becomes of this process.
func (b *bench) compile() *peers {
	p := &peers{found: map[string]found{}}
	compiler := ""
	for _, name := range []string{os.Getenv("CC"), "cc", "gcc", "clang"} {
		if path, err := exec.LookPath(name); name != "" && err == nil {
			compiler = path
			break
		}
	}
	if compiler == "" {
		p.err = &leftOut{"allocators of C are driven by a program that needs a C compiler: " +
			"apt-get install gcc libc6-dev"}
		return p
	}
	dir, err := os.MkdirTemp("", "dunlin-alloc-")
	if err != nil {
		p.err = err
		return p
	}
	defer func() { p.err = errors.Join(p.err, os.RemoveAll(dir)) }()
	source, driver := filepath.Join(dir, "driver.c"), filepath.Join(dir, "driver")
	if p.err = os.WriteFile(source, driverSource, 0o600); p.err != nil {
		return p
	}
	build := exec.Command(compiler, "-O2", "-pthread", "-o", driver, source, "-ldl")
	if text, err := build.CombinedOutput(); err != nil {
		first, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
		p.err = &leftOut{fmt.Sprintf("%s cannot compile the program that drives them, see whether "+
			"libc6-dev is installed: %v: %s", compiler, err, first)}
		return p
	}
	f, err := os.Open(driver)
	if err != nil {
		p.err = err
		return p
	}
	b.closers = append(b.closers, f.Close)
	p.driver = fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd())
	return p
}

// allocator returns the library of an allocator, which was seen to work with the driver.
func (b *bench) allocator(a allocator) (string, error) {
	if f, ok := b.peers.found[a.name]; ok {
		return f.file, f.err
	}
	var f found
	if f.file, f.err = a.find(); f.err == nil {
		first := &peer{b, a, f.file, "pair", 1, 1}
		if _, err := first.run(0, core.Millisecond); err != nil {
			f.err = &leftOut{err.Error()}
		} else if f.file != "" {
			b.notes = append(b.notes, a.name+" is "+f.file)
		}
	}
	b.peers.found[a.name] = f
	return f.file, f.err
}

// find looks for an allocator's library where systems keep them.
func (a allocator) find() (string, error) {
	if a.pattern == "" {
		return "", nil
	}
	for _, dir := range []string{
		"/usr/local/lib", "/usr/local/lib64", "/usr/lib/*-linux-gnu*", "/lib/*-linux-gnu*",
		"/usr/lib64", "/usr/lib", "/lib64", "/lib",
	} {
		files, err := filepath.Glob(filepath.Join(dir, a.pattern))
		if err == nil && len(files) > 0 {
			return slices.Max(files), nil
		}
	}
	return "", &leftOut{fmt.Sprintf("no %s in /usr/lib and the like: %s", a.pattern, a.install)}
}

// peer measures a pattern in a process for each round.
type peer struct {
	b       *bench
	of      allocator
	file    string
	pattern string
	threads int
	batch   int
}

func (p *peer) run(warm, measure core.Time) ([]uint32, error) {
	arguments := []string{
		p.pattern, strconv.Itoa(p.threads), strconv.Itoa(p.batch),
		strconv.FormatInt(int64(warm), 10), strconv.FormatInt(int64(measure), 10),
	}
	for _, cpu := range p.b.cpus[:p.threads] {
		arguments = append(arguments, strconv.Itoa(cpu))
	}
	c := exec.Command(p.b.peers.driver, arguments...)
	c.Env = []string{}
	c.SysProcAttr = &unix.SysProcAttr{Setpgid: true} // an interruption is ours, between two rows
	if p.file != "" {
		c.Env = append(c.Env, "LD_PRELOAD="+p.file)
	}
	var out, complaints bytes.Buffer
	c.Stdout, c.Stderr = &out, &complaints
	if err := c.Start(); err != nil {
		return nil, err
	}
	late := time.AfterFunc(time.Duration(warm+measure)+peerPatience, func() { c.Process.Kill() })
	defer late.Stop()
	if err := c.Wait(); err != nil {
		return nil, fmt.Errorf("driver %s with %s: %w: %s", p.pattern, p.of.name, err,
			complaints.String())
	}
	samples, err := p.read(out.String())
	if err != nil {
		return nil, fmt.Errorf("driver %s with %s: %w: %s", p.pattern, p.of.name, err,
			complaints.String())
	}
	return samples, nil
}

// read is the driver's answer. It names the file that its malloc came from, because a library that
// cannot be loaded is passed over in silence.
func (p *peer) read(answer string) ([]uint32, error) {
	const head = 3 // ok FILE N
	fields := strings.Fields(answer)
	if len(fields) <= head || fields[0] != "ok" {
		return nil, errors.New("no samples")
	}
	want := "libc."
	if p.file != "" {
		want = filepath.Base(p.file)
	}
	if got := filepath.Base(fields[1]); !strings.HasPrefix(got, want) {
		return nil, fmt.Errorf("malloc came from %s and not from %s", fields[1], want)
	}
	if n, err := strconv.Atoi(fields[2]); err != nil || n != len(fields)-head {
		return nil, fmt.Errorf("%s samples, and %d follow", fields[2], len(fields)-head)
	}
	samples := make([]uint32, 0, len(fields)-head)
	for _, text := range fields[head:] {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil, err
		}
		samples = append(samples, uint32(n))
	}
	return samples, nil
}
