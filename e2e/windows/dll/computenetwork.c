/* computenetwork.dll for Wine: hands every call to the stand-in service. All
 * kinds of objects have the same seven calls. */
#include "forward.h"

#define EXPORT __declspec(dllexport) WINAPI

typedef void *OBJECT;

static const char *guid_text(char *b, const GUID *id)
{
	sprintf(b, "%08lx-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x", (unsigned long)id->Data1, id->Data2, id->Data3, id->Data4[0],
		id->Data4[1], id->Data4[2], id->Data4[3], id->Data4[4], id->Data4[5], id->Data4[6], id->Data4[7]);
	return b;
}

static const char *object_text(char *b, OBJECT o)
{
	sprintf(b, "%llu", (unsigned long long)(ULONG_PTR)o);
	return b;
}

/* ask_network makes a call; *text is the answer if it succeeded, else what *result says. */
static HRESULT ask_network(const char *function, const char **args, int count, char **text, PWSTR *result)
{
	HRESULT hr = call(function, args, count, text);
	if (result)
		*result = FAILED(hr) && *text && **text ? widen(*text) : NULL;
	return hr;
}

static HRESULT to_object(const char *function, const char **args, int count, OBJECT *object, PWSTR *result)
{
	char *text;
	HRESULT hr = ask_network(function, args, count, &text, result);
	*object = SUCCEEDED(hr) && text ? (OBJECT)(ULONG_PTR)strtoull(text, NULL, 10) : NULL;
	free(text);
	return hr;
}

static HRESULT to_text(const char *function, const char **args, int count, PWSTR *out, PWSTR *result)
{
	char *text;
	HRESULT hr = ask_network(function, args, count, &text, result);
	*out = SUCCEEDED(hr) && text ? widen(text) : NULL;
	free(text);
	return hr;
}

static HRESULT to_nothing(const char *function, const char **args, int count, PWSTR *result)
{
	char *text;
	HRESULT hr = ask_network(function, args, count, &text, result);
	free(text);
	return hr;
}

static HRESULT enumerate(const char *function, PCWSTR query, PWSTR *out, PWSTR *result)
{
	char *doc = narrow(query);
	const char *args[] = {doc};
	HRESULT hr = to_text(function, args, 1, out, result);
	free(doc);
	return hr;
}

static HRESULT create(const char *function, OBJECT parent, const GUID *id, PCWSTR settings, OBJECT *object, PWSTR *result)
{
	char a[24], b[40], *doc = narrow(settings);
	const char *args[] = {object_text(a, parent), guid_text(b, id), doc};
	HRESULT hr = to_object(function, args, 3, object, result);
	free(doc);
	return hr;
}

static HRESULT open_object(const char *function, const GUID *id, OBJECT *object, PWSTR *result)
{
	char b[40];
	const char *args[] = {guid_text(b, id)};
	return to_object(function, args, 1, object, result);
}

static HRESULT modify(const char *function, OBJECT object, PCWSTR settings, PWSTR *result)
{
	char a[24], *doc = narrow(settings);
	const char *args[] = {object_text(a, object), doc};
	HRESULT hr = to_nothing(function, args, 2, result);
	free(doc);
	return hr;
}

static HRESULT query_object(const char *function, OBJECT object, PCWSTR query, PWSTR *out, PWSTR *result)
{
	char a[24], *doc = narrow(query);
	const char *args[] = {object_text(a, object), doc};
	HRESULT hr = to_text(function, args, 2, out, result);
	free(doc);
	return hr;
}

static HRESULT delete_object(const char *function, const GUID *id, PWSTR *result)
{
	char b[40];
	const char *args[] = {guid_text(b, id)};
	return to_nothing(function, args, 1, result);
}

static HRESULT close_object(const char *function, OBJECT object)
{
	char a[24];
	const char *args[] = {object_text(a, object)};
	return to_nothing(function, args, 1, NULL);
}

#define COMMON(Kind, Kinds)                                                                                                                  \
	HRESULT EXPORT HcnEnumerate##Kinds(PCWSTR query, PWSTR *out, PWSTR *result) { return enumerate("HcnEnumerate" #Kinds, query, out, result); } \
	HRESULT EXPORT HcnOpen##Kind(GUID *id, OBJECT *object, PWSTR *result) { return open_object("HcnOpen" #Kind, id, object, result); }           \
	HRESULT EXPORT HcnModify##Kind(OBJECT object, PCWSTR settings, PWSTR *result) { return modify("HcnModify" #Kind, object, settings, result); } \
	HRESULT EXPORT HcnQuery##Kind##Properties(OBJECT object, PCWSTR query, PWSTR *out, PWSTR *result)                                            \
	{                                                                                                                                            \
		return query_object("HcnQuery" #Kind "Properties", object, query, out, result);                                                          \
	}                                                                                                                                            \
	HRESULT EXPORT HcnDelete##Kind(GUID *id, PWSTR *result) { return delete_object("HcnDelete" #Kind, id, result); }                             \
	HRESULT EXPORT HcnClose##Kind(OBJECT object) { return close_object("HcnClose" #Kind, object); }

COMMON(Network, Networks)
COMMON(Endpoint, Endpoints)
COMMON(Namespace, Namespaces)

HRESULT EXPORT HcnCreateNetwork(GUID *id, PCWSTR settings, OBJECT *object, PWSTR *result)
{
	return create("HcnCreateNetwork", NULL, id, settings, object, result);
}

HRESULT EXPORT HcnCreateEndpoint(OBJECT network, GUID *id, PCWSTR settings, OBJECT *object, PWSTR *result)
{
	return create("HcnCreateEndpoint", network, id, settings, object, result);
}

HRESULT EXPORT HcnCreateNamespace(GUID *id, PCWSTR settings, OBJECT *object, PWSTR *result)
{
	return create("HcnCreateNamespace", NULL, id, settings, object, result);
}

BOOL WINAPI DllMain(HINSTANCE instance, DWORD reason, void *reserved)
{
	(void)instance, (void)reason, (void)reserved;
	return TRUE;
}
