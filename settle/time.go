package settle

import "time"

// FormatTime writes a time as Appwrite does: in UTC, with milliseconds.
func FormatTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// nullableTime writes a time in the same way, and returns nil for the zero time. Never
// write that as "": Appwrite stores an empty text as now.
func nullableTime(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return nullable(FormatTime(t))
}
