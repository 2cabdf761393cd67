package handler

import (
	"reflect"
	"testing"

	"openruntimes/handler/parse"
)

func TestFromEnv(t *testing.T) {
	complete := map[string]string{
		"APPWRITE_FUNCTION_API_ENDPOINT": "https://appwrite.example/v1",
		"APPWRITE_FUNCTION_PROJECT_ID":   "project",
		"APPWRITE_FUNCTION_ID":           "function",
		"DARAJA_DATABASE_ID":             " daraja\n", // as it was pasted
		"DARAJA_COLLECTION_ID":           "payments",
		"DARAJA_B2C_COLLECTION_ID":       "disbursements",
		"DARAJA_ANONYMOUS_READ":          "any",
		"DARAJA_CALLBACK_SECRET":         "0123456789abcdef, fedcba9876543210",
	}
	want := Config{Endpoint: "https://appwrite.example/v1", ProjectID: "project", FunctionID: "function", DatabaseID: "daraja",
		PaymentsID: "payments", DisbursementsID: "disbursements", AnonymousRead: "any",
		Secrets: []string{"0123456789abcdef", "fedcba9876543210"}}
	got, err := FromEnv(func(name string) string { return complete[name] })
	if got.clock.call != newClock().call || got.clock.now == nil {
		t.Errorf("FromEnv has the clock %+v, want that of newClock", got.clock)
	}
	got.clock = clock{} // a func cannot be compared
	if !reflect.DeepEqual(got, want) || err != nil {
		t.Errorf("FromEnv = %+v, %v, want %+v", got, err, want)
	}

	_, err = FromEnv(func(string) string { return "" })
	const all = "configuration: APPWRITE_FUNCTION_API_ENDPOINT is missing; APPWRITE_FUNCTION_PROJECT_ID is missing; APPWRITE_FUNCTION_ID is missing; " +
		"DARAJA_DATABASE_ID is missing; DARAJA_COLLECTION_ID is missing"
	if err == nil || err.Error() != all {
		t.Errorf("FromEnv of nothing = %v, want %s", err, all)
	}

	wrong := map[string]string{
		"APPWRITE_FUNCTION_API_ENDPOINT": "appwrite.example", "APPWRITE_FUNCTION_PROJECT_ID": "p", "APPWRITE_FUNCTION_ID": "f",
		"DARAJA_CALLBACK_SECRET": "fedcba9876543210,Short",
		"DARAJA_DATABASE_ID":     "my data/base", "DARAJA_COLLECTION_ID": "a b", "DARAJA_B2C_COLLECTION_ID": "a b",
	}
	_, err = FromEnv(func(name string) string { return wrong[name] })
	const malformed = "configuration: APPWRITE_FUNCTION_API_ENDPOINT is no URL; DARAJA_DATABASE_ID is no id; DARAJA_COLLECTION_ID is no id; " +
		"DARAJA_B2C_COLLECTION_ID is no id; DARAJA_B2C_COLLECTION_ID is the collection of payments; " +
		"DARAJA_CALLBACK_SECRET is not 16 to 64 of a-z, 0-9 and hyphen"
	if err == nil || err.Error() != malformed {
		t.Errorf("FromEnv of malformed settings = %v, want %s", err, malformed)
	}

	complete["DARAJA_ANONYMOUS_READ"] = "yes"
	complete["DARAJA_B2C_COLLECTION_ID"] = ""
	c, err := FromEnv(func(name string) string { return complete[name] })
	if err == nil || err.Error() != "configuration: DARAJA_ANONYMOUS_READ is neither empty nor any" {
		t.Errorf("FromEnv with a malformed setting = %v", err)
	}
	// What is malformed stops nothing; what is missing stops only what needs it.
	if missing := c.missing(parse.Payment); len(missing) != 0 {
		t.Errorf("a payment lacks %v, want nothing", missing)
	}
	if missing := c.missing(parse.Disbursement); len(missing) != 1 || missing[0] != "DARAJA_B2C_COLLECTION_ID is missing" {
		t.Errorf("a disbursement lacks %v, want its collection", missing)
	}
}
