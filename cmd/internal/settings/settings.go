// Package settings brings a configuration together for the programs that take one: flags for all
// settings, the environment, the file, and the accounts of this machine. Package config, which is
// pure, decides what they mean.
package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"

	"github.com/spf13/pflag"

	"github.com/dunlin-io/dunlin/cmd/internal/exit"
	"github.com/dunlin-io/dunlin/iokernel/config"
)

// DefaultFile is read if no other is named, and if it exists.
const DefaultFile = "/etc/dunlin/iokernel.yaml"

// Flags are the flags of a configuration.
type Flags struct {
	set  *pflag.FlagSet
	file string
}

// Add adds --config and a flag for each setting.
func Add(set *pflag.FlagSet) *Flags {
	f := &Flags{set: set}
	set.StringVar(&f.file, "config", DefaultFile, "configuration `file`; this one may be missing")
	for _, s := range config.Settings() {
		if s.IsBool() {
			set.VarPF(&value{s.DefaultText(), "bool"}, s.Flag(), "", s.Usage).NoOptDefVal = "true"
		} else {
			set.Var(&value{s.DefaultText(), "value"}, s.Flag(), s.Usage)
		}
	}
	return f
}

// value is the text of a flag; config.Load reads it.
type value struct{ text, kind string }

func (v *value) String() string        { return v.text }
func (v *value) Set(text string) error { v.text = text; return nil }
func (v *value) Type() string          { return v.kind }

// Load merges flags, environment and file. Its errors are the user's, line by line.
func (f *Flags) Load() (*config.Effective, error) {
	given := map[string]string{}
	for _, s := range config.Settings() {
		if f.set.Changed(s.Flag()) {
			given[s.Flag()] = f.set.Lookup(s.Flag()).Value.String()
		}
	}
	text, err := os.ReadFile(f.file)
	if errors.Is(err, fs.ErrNotExist) && !f.set.Changed("config") {
		err = nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: iokernel --sample prints a file to begin with", err)
	}
	if err != nil {
		return nil, exit.As(exit.Usage, err)
	}
	return load(config.Sources{FileName: f.file, File: text, Environ: os.Environ(), Flags: given})
}

// Check reads one file and nothing else.
func Check(file string) (*config.Effective, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, exit.As(exit.Usage, err)
	}
	return load(config.Sources{FileName: file, File: text})
}

func load(s config.Sources) (*config.Effective, error) {
	s.User = func(name string) (uint32, error) {
		u, err := user.Lookup(name)
		if err != nil {
			return 0, errors.New("no such user on this machine")
		}
		return number(u.Uid)
	}
	s.Group = func(name string) (uint32, error) {
		g, err := user.LookupGroup(name)
		if err != nil {
			return 0, errors.New("no such group on this machine")
		}
		return number(g.Gid)
	}
	return config.Load(s)
}

func number(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	return uint32(n), err
}
