#include "tests/http/certificate.h"

#include <cstdio>
#include <memory>
#include <stdexcept>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

namespace chunkvault::http::test {

namespace {

using File = std::unique_ptr<std::FILE, decltype(&std::fclose)>;

File create(const std::filesystem::path& path) {
    File file(std::fopen(path.c_str(), "w"), std::fclose);
    if (file == nullptr) throw std::runtime_error("cannot write " + path.string());
    return file;
}

}  // namespace

void writeCertificate(const std::filesystem::path& certPath, const std::filesystem::path& keyPath) {
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
    const std::unique_ptr<X509, decltype(&X509_free)> cert(X509_new(), X509_free);
    ASN1_INTEGER_set(X509_get_serialNumber(cert.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert.get()), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert.get()), 3600);
    X509_set_pubkey(cert.get(), key.get());
    X509_NAME* const name = X509_get_subject_name(cert.get());
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("localhost"), -1, -1,
                               0);
    X509_set_issuer_name(cert.get(), name);
    if (X509_sign(cert.get(), key.get(), EVP_sha256()) == 0)
        throw std::runtime_error("the certificate cannot be signed");
    PEM_write_PrivateKey(create(keyPath).get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    PEM_write_X509(create(certPath).get(), cert.get());
}

}  // namespace chunkvault::http::test
