package seal

import (
	"reflect"
	"unsafe"
)

// wipe overwrites what a cipher of the standard library points to, which is its expanded key. The
// library has no call for that. A value that holds pointers of its own is left to the collector: a
// test says when a new version of Go brings one.
func wipe(keyed any) {
	v := reflect.ValueOf(keyed)
	if v.Kind() != reflect.Pointer || v.IsNil() || !flat(v.Type().Elem()) {
		return
	}
	clear(unsafe.Slice((*byte)(v.UnsafePointer()), v.Type().Elem().Size()))
}

// flat reports whether values of a type are plain numbers.
func flat(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Array:
		return flat(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if !flat(t.Field(i).Type) {
				return false
			}
		}
		return true
	}
	return t.Kind() >= reflect.Bool && t.Kind() <= reflect.Complex128
}
