package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dunlin-io/dunlin/cmd/internal/exit"
)

// writeNew makes a file with that content and those permission bits, and overwrites none. When it
// fails, there is none.
func writeNew(name string, text []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return exit.As(exit.Busy, fmt.Errorf("%s is there already; take it away or name another",
			name))
	}
	if err != nil {
		return err
	}
	if err := write(f, text, mode); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return nil
}

// replaceFile gives a file another content in one step, with the permission bits that it had.
func replaceFile(name string, text []byte) error {
	name, err := filepath.EvalSymlinks(name) // a link stays one
	if err != nil {
		return err
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	if err = write(f, text, info.Mode().Perm()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// write fills a new file and closes it; on disk before it is complete for others.
func write(f *os.File, text []byte, mode fs.FileMode) error {
	_, err := f.Write(text)
	return errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
}
